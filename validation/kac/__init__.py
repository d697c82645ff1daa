"""Kac particles with a reservoir against those with a thermostat: what is compared, drawn and reported."""

from kinlim.validation.kac.comparison import COMPARISON

__all__ = ["COMPARISON"]

"""Particles held against equations: differences with their uncertainty, figures, reports. Reads only datasets."""

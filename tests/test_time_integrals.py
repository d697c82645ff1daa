"""Integrals over time of the kinetic system: right wherever it lands, and never a division by a step of no length."""

import numpy as np
import pytest

from kinlim.fem.reaction.balances import accumulate


def integrand(t, layer):
    """A layer of length `layer` and what follows; its integral is known."""
    rates = np.stack([np.exp(-t / layer) / layer + 1, t, np.ones_like(t), np.cos(t)], axis=1)
    integral = np.stack([1 - np.exp(-t / layer) + t, t**2 / 2, t, np.sin(t)], axis=1)
    return rates, integral


def steps(layer, end):
    """Ends of steps as error control makes them: short in the layer, longer and longer after."""
    return np.concatenate([[0.0], np.geomspace(layer * 1e-3, end, 400)])


@pytest.mark.parametrize("gap", [0.0, 1.0, 2.0, 50.0, 1e3, 1e6, 1e9])
def test_two_landings_close_together_cost_nothing(gap):
    layer = 1e-2
    times = steps(layer, 1.0)
    at = 0.5 + gap * np.spacing(0.5) * np.arange(2)
    times = np.unique(np.concatenate([times, [0.5], at]))
    rates, exact = integrand(times, layer)
    found = accumulate(times, rates, times, layer)
    plain, exact_plain = (f(steps(layer, 1.0)) for f in (lambda t: accumulate(t, integrand(t, layer)[0], t, layer),
                                                         lambda t: integrand(t, layer)[1]))  # fmt: skip
    error = np.abs(plain - exact_plain).max()
    assert np.abs(found - exact).max() < 2 * error + 1e-12


@pytest.mark.parametrize("end", [1e-300, 1e-15, 1e-8, 1.0])
def test_times_much_shorter_than_the_layer(end):
    layer = 1e4  # epsilon = 100
    times = end * np.array([0.0, 0.5, 0.5 + 2**-53, 1.0])
    rates = np.tile([3.0, 1.0, 0.0, 2.0], (4, 1))
    assert accumulate(times, rates, times, layer) == pytest.approx(times[:, None] * rates, rel=1e-12)


def test_a_single_step_and_none():
    rates = np.full((2, 4), 2.0)
    assert accumulate(np.array([0.0, 0.3]), rates, np.array([0.3]), 0.1) == pytest.approx(0.6)
    assert accumulate(np.zeros(1), rates[:1], np.zeros(1), 0.1) == pytest.approx(0.0)

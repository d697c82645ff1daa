"""The last display of Lemma 3.1, on densities that are constant in x: false as printed, true with another constant.

I = int int chi1 chi2' (sqrt(f g'/(chi1 chi2')) - 1)^2 is bounded below by (sqrt(rho_f rho_g) - 1)^2 plus a multiple of
int f_perp^2/chi1 + int g_perp^2/chi2, where f = rho_f chi1 + eps f_perp.
"""

import numpy as np
import pytest

V, W = np.polynomial.hermite_e.hermegauss(40)
W = W / W.sum()


def sides(f, g, lo, hi):
    """I and its lower bounds, as printed and mended, from f/chi1 and g/chi2 at the nodes, in the region [lo, hi]."""
    rho_f, rho_g = W @ f, W @ g
    i = W @ (np.sqrt(f[:, None] * g[None]) - 1) ** 2 @ W
    f_perp, g_perp = W @ (f - rho_f) ** 2, W @ (g - rho_g) ** 2  # times eps^2
    near = (np.sqrt(rho_f * rho_g) - 1) ** 2
    printed = near + lo / (4 * hi**3) * (f_perp + g_perp)
    mended = near + lo / (4 * hi) * (f_perp / hi**2 + lo**2 * g_perp)
    return i, printed, mended


def test_a_counterexample_to_the_printed_constant():
    # rho_g is at most 1/lo, not hi: with lo hi < 1 the weight of g_perp is too large
    i, printed, mended = sides(np.full(40, 0.15), (1 + 0.1 * np.tanh(V)) / 0.15, 0.1, 0.2)
    assert i == pytest.approx(9.9e-4, rel=0.01)
    assert printed > 500 * i
    assert mended < i


def test_the_mended_constant_holds_on_random_densities():
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(2000):
        lo = np.exp(rng.uniform(-3, 3))
        hi = lo * np.exp(rng.uniform(0, 3))
        f, one_over_g = (lo + (hi - lo) * rng.random(40) ** rng.integers(1, 4) for _ in range(2))
        i, printed, mended = sides(f, 1 / one_over_g, lo, hi)
        assert mended <= i * (1 + 1e-12)
        assert printed <= i or lo * hi < 1
        wrong += printed > i
    assert wrong > 100

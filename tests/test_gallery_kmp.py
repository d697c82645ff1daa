"""Kipnis, Marchioro and Presutti's energies: the closed equation for products against the rule of one exchange."""

from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

import kinlim
from kinlim.study import load

GALLERY = Path(__file__).parents[1] / "examples" / "gallery"


def moments(n, ends, mean, time):
    """Means and covariances of sites 1 ... n - 1, from e' = M e + v b at each bond, b a bath's new energy."""
    m = n - 1
    one, size = np.eye(m), 1 + m + m * m  # 1, E[e], E[e_i e_j]
    generator = np.zeros((size, size))
    nodes, weights = np.polynomial.legendre.leggauss(3)  # exact up to degree 5 in U
    for bond in range(n):
        for u, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            M, v, b = one.copy(), np.zeros(m), 0.0
            if 0 < bond < m:
                M[bond - 1, bond - 1 : bond + 1], M[bond, bond - 1 : bond + 1] = u, 1 - u
            else:
                site, b = (0, ends[0]) if bond == 0 else (-1, ends[1])
                M[site, site] = v[site] = u
            after = np.zeros((size, size))
            after[0, 0] = 1
            after[1 : m + 1, 0], after[1 : m + 1, 1 : m + 1] = b * v, M
            after[m + 1 :, 0] = 2 * b**2 * np.kron(v, v)
            after[m + 1 :, 1 : m + 1] = b * (np.kron(M, v[:, None]) + np.kron(v[:, None], M))
            after[m + 1 :, m + 1 :] = np.kron(M, M)
            generator += 2 * n**2 * weight * (after - np.eye(size))
    start = np.concatenate([[1], mean, (np.outer(mean, mean) + np.diag(mean**2)).ravel()])
    found = expm(time * generator) @ start
    T = found[1 : m + 1]
    return T, found[m + 1 :].reshape(m, m) - np.outer(T, T)


@pytest.mark.parametrize("sites", [3, 4, 5])
def test_products_follow_the_rule_of_an_exchange(sites):
    # a bath of half the rate, a lost E[b^2], 1/3 for 1/6, neighbours in both roles at 3 sites
    time = 0.03
    study = load(GALLERY / "kmp.toml", [f"model.sites={sites}", f"model.end_time={time}", "model.observe=[1.0]"])
    T, covariance = moments(sites, study.model.ends, study.model.T0(x=np.arange(1, sites) / sites), time)
    found = kinlim.solve(study, "exact")
    np.testing.assert_allclose(found["T"][0], T, atol=1e-9)
    np.testing.assert_allclose(found.covariance[0], covariance, atol=1e-9)

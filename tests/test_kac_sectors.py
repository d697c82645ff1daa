"""Kac particles in sectors: the matrices against collisions done one by one, and what holds between the matrices."""

from itertools import combinations, permutations, product
from math import comb, exp, expm1, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite_e import hermegauss, hermeval
from numpy.polynomial.legendre import leggauss
from scipy.linalg import expm

from kinlim.errors import InputError
from kinlim.fem.kac import theorem
from kinlim.fem.kac.evolution import Evolution
from kinlim.fem.kac.one_particle import l_squared, r_ratio, r_star, rho, shapes, tau
from kinlim.fem.kac.sectors import Sector, initial, sectors
from kinlim.models.kac.symmetric import Label, labels, orbit

RATES = 1.3, 0.7, 2.1  # lambda_S, lambda_R, mu, all different
SIZES = [(1, 1), (1, 4), (3, 1), (5, 7), (100, 10**6)]


def placements(label, M, N):
    """All ways to put the multi-indices on particles, as dicts from particles to multi-indices."""
    found = {
        tuple(sorted([*zip(system, label.system, strict=True), *zip(reservoir, label.reservoir, strict=True)]))
        for system in permutations(range(M), len(label.system))
        for reservoir in permutations(range(M, M + N), len(label.reservoir))
    }
    return [dict(one) for one in found]


def functions(names, z, M, N):
    """The orthonormal Hermite polynomials :e_lambda: at velocities z of shape (..., M + N, 3), shape (labels, ...)."""
    he = [hermeval(z, np.eye(k + 1)[k]) for k in range(max(label.degree for label in names) + 1)]
    values = []
    for label in names:
        total = 0
        for placement in placements(label, M, N):
            factors = [he[a][..., i, axis] for i, alpha in placement.items() for axis, a in enumerate(alpha) if a]
            total = total + np.prod(factors, axis=0)
        values.append(total / sqrt(orbit(label, M, N) * label.factorial))
    return np.array(values)


def sphere(degree):
    """Points on S^2 and weights of mean 1, exact for polynomials up to the degree."""
    c, weight = leggauss(degree // 2 + 1)
    phi = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    c, phi = (part.ravel() for part in np.meshgrid(c, phi, indexing="ij"))
    s = np.sqrt(1 - c**2)
    return np.stack([s * np.cos(phi), s * np.sin(phi), c], axis=1), np.repeat(weight, degree + 1) / 2 / (degree + 1)


def collided(z, i, j, omega):
    """Velocities after particles i and j collided along each omega, shape (omegas, *z.shape)."""
    m = ((z[..., i, :] - z[..., j, :])[None] * omega[:, None]).sum(axis=-1, keepdims=True)
    after = np.repeat(z[None], len(omega), axis=0)
    after[..., i, :] -= m * omega[:, None]
    after[..., j, :] += m * omega[:, None]
    return after


def test_labels_are_read_back():
    for label in labels(3, 3, 3):
        assert Label.parse(str(label)) == label
    assert Label.parse("y.x|z") == Label(((1, 0, 0), (0, 1, 0)), ((0, 0, 1),))
    assert [str(label) for label in labels(1, 2, 2)] == ["x", "y", "z", "|x", "|y", "|z"]
    assert str(Label()) == "1"
    assert Label.parse("1").degree == 0
    for wrong in ("", "|", "x.", "a", "x|y|z", ".x"):
        with pytest.raises(InputError, match="names no polynomial"):
            Label.parse(wrong)


@pytest.mark.parametrize(("M", "N"), [(1, 1), (2, 3), (4, 1)])
def test_orbits_count_all_monomials_once(M, N):
    # a label missing or twice, one that does not fit, or a wrong symmetry factor
    for degree in range(5):
        found = labels(degree, M, N)
        assert len(set(found)) == len(found)
        assert sum(orbit(label, M, N) for label in found) == comb(3 * (M + N) - 1 + degree, degree)
    for label in labels(3, 3, 3):
        assert orbit(label, M, N) == len(placements(label, M, N))


@pytest.mark.parametrize(("M", "N", "degree"), [(2, 3, 1), (2, 3, 2), (2, 3, 3), (3, 1, 3), (1, 2, 4), (2, 2, 4)])
def test_generator_is_a_sum_over_collisions(M, N, degree):
    # everything about the matrix, at random velocities: rates, numbers of partners, orbits, factorials, Hermite
    # polynomials instead of monomials
    rng = np.random.default_rng(degree)
    omega, weight = sphere(2 * degree)
    lambda_s, lambda_r, mu = RATES
    for sector in sectors(degree, M, N, distinct=True):
        z = rng.normal(size=(len(sector.labels) // 4 + 3, M + N, 3))
        f = functions(sector.labels, z, M, N)
        expected = np.zeros_like(f)
        for i, j in combinations(range(M + N), 2):
            rate = lambda_s / (M - 1) if j < M else lambda_r / (N - 1) if i >= M else mu / N
            after = functions(sector.labels, collided(z, i, j, omega), M, N)
            expected += rate * (np.einsum("loz,o->lz", after, weight) - f)
        matrix = sector.generator(*RATES)
        assert matrix.T @ f == pytest.approx(expected, rel=1e-11, abs=1e-11 * abs(f).max())


@pytest.mark.parametrize(("M", "degree"), [(1, 4), (2, 3), (3, 2)])
def test_thermostat_is_a_collision_with_a_fresh_particle(M, degree):
    # terms with the partner's velocity kept, or the system's own collisions forgotten
    rng = np.random.default_rng(M)
    omega, weight = sphere(2 * degree)
    nodes, heights = hermegauss(degree // 2 + 1)
    fresh = np.array(list(product(nodes, repeat=3)))
    share = np.prod(list(product(heights / heights.sum(), repeat=3)), axis=1)
    for sector in sectors(degree, M, 5, distinct=True):
        own = [label for label in sector.labels if not label.reservoir]
        z = rng.normal(size=(6, M, 3))
        f = functions(own, z, M, 0)
        expected = np.zeros_like(f)
        for i, j in combinations(range(M), 2):
            after = functions(own, collided(z, i, j, omega), M, 0)
            expected += RATES[0] / (M - 1) * (np.einsum("loz,o->lz", after, weight) - f)
        for i in range(M):
            for x, part in zip(fresh, share, strict=True):
                pair = np.concatenate([z, np.broadcast_to(x, (len(z), 1, 3))], axis=1)
                after = functions(own, collided(pair, i, M, omega)[..., :M, :], M, 0)
                expected += RATES[2] * part * (np.einsum("loz,o->lz", after, weight) - f)
        matrix = sector.thermostat(RATES[0], RATES[2])
        assert matrix.T @ f == pytest.approx(expected, rel=1e-11, abs=1e-11 * abs(f).max())


@pytest.mark.parametrize(("M", "N"), SIZES)
def test_invariants_are_the_kernel(M, N):
    # a lost conservation law, a spurious one, or a matrix that is not self-adjoint
    for degree in range(1, 5):
        for sector in sectors(degree, M, N):
            L, kernel = sector.generator(*RATES), sector.invariants
            assert abs(L - L.T).max() < 1e-14
            assert kernel.T @ kernel == pytest.approx(np.eye(kernel.shape[1]), abs=1e-13)
            assert L @ kernel == pytest.approx(np.zeros(kernel.shape), abs=1e-13)
            values = np.linalg.eigvalsh(L)
            assert values[-kernel.shape[1] - 1] < -0.1
    # 4 numbers are conserved: their products, 2a + |beta| = 4
    assert sum(sector.invariants.shape[1] for sector in sectors(4, M, N)) == 15 + 6 + 1


def test_a_collision_is_no_projector():
    # its eigenvalues are 1/(2l + 1): the l where a projector would have 0 are those of Lemma 2
    for degree in range(1, 5):
        for sector in sectors(degree, 1, 1, distinct=True):
            values = 1 + np.linalg.eigvalsh(sector.generator(0, 0, 1))
            assert np.abs(np.subtract.outer(values, 1 / np.arange(1, 11, 2))).min(axis=1).max() < 1e-13
    assert values.min() < 0.34


def vector(sector, **weights):
    """Coefficients in e_lambda of a sum of m_lambda; in names, _ is a point and I begins the reservoir."""
    found = np.zeros(len(sector.labels))
    for name, weight in weights.items():
        label = Label.parse(name.replace("_", ".").replace("I", "|"))
        if label in sector.labels:
            found[sector.labels.index(label)] = weight * sqrt(orbit(label, sector.M, sector.N) * label.factorial)
    return found


@pytest.mark.parametrize(("M", "N"), [(1, 1), (2, 3), (4, 1), (7, 300)])
def test_second_moments_follow_the_equations_derived_by_hand(M, N):
    # docs/kac-sectors.md, from the collision rule without polynomials: a check of the whole chain, with rates
    lambda_s, lambda_r, mu = RATES
    s, r = lambda_s / max(M - 1, 1), lambda_r / max(N - 1, 1)
    if M == 1:
        lambda_s = s = 0
    if N == 1:
        lambda_r = r = 0
    both = (M + N - 2) / 3
    # columns: what L makes of S, W, A, B, D
    traceless = np.array(
        [
            [-2 / 5 * lambda_s - 8 / 15 * mu, 2 / 15 * mu, 2 / 5 * lambda_s, mu / 5, 0],
            [2 / 15 * mu * M / N, -2 / 5 * lambda_r - 8 / 15 * mu * M / N, 0, mu / 5 * M / N, 2 / 5 * lambda_r],
            [2 / 5 * s, 0, -2 / 5 * s - 2 / 3 * mu, mu / 3, 0],
            [
                2 / 5 * mu / N,
                2 / 5 * mu / N,
                2 / 3 * mu * (M - 1) / N,
                -mu / N * (2 / 5 + both),
                2 / 3 * mu * (N - 1) / N,
            ],
            [0, 2 / 5 * r, 0, mu / 3 * M / N, -2 / 5 * r - 2 / 3 * mu * M / N],
        ]
    )
    products = np.array(
        [
            [-2 / 3 * mu, mu / 3, 0],
            [2 / 3 * mu * (M - 1) / N, -mu / N * both, 2 / 3 * mu * (N - 1) / N],
            [0, mu / 3 * M / N, -2 / 3 * mu * M / N],
        ]
    )
    energy = mu / 3 * np.array([[-1, 1], [M / N, -M / N]])
    mixed, even = Sector(2, (1, 1, 0), M, N), Sector(2, (0, 0, 0), M, N)
    five = [
        vector(mixed, **names) for names in ({"xy": 1}, {"Ixy": 1}, {"x_y": 1}, {"xIy": 0.5, "yIx": 0.5}, {"Ix_y": 1})
    ]
    three = [
        vector(even, x_x=2, y_y=2, z_z=2),
        vector(even, xIx=1, yIy=1, zIz=1),
        vector(even, Ix_x=2, Iy_y=2, Iz_z=2),
    ]
    two = [vector(even, xx=1, yy=1, zz=1), vector(even, Ixx=1, Iyy=1, Izz=1)]
    for sector, functions_, matrix in ((mixed, five, traceless), (even, three, products), (even, two, energy)):
        F = np.transpose(functions_)
        assert sector.generator(*RATES) @ F == pytest.approx(F @ matrix, rel=1e-12, abs=1e-12)
    turning = vector(mixed, xIy=1, yIx=-1)  # P x Q
    assert mixed.generator(*RATES) @ turning == pytest.approx(-mu / 3 * (1 + M / N) * turning, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("M", "N"), [(1, 1), (3, 2), (10, 10**4), (1, 10**9)])
@pytest.mark.parametrize("of", ["momentum", "energy"])
def test_momentum_and_energy_in_closed_form(M, N, of):
    # the distances, to digits that a difference of two exponentials would not have for N = 10^9
    lambda_s, lambda_r, mu = RATES
    sector = Sector(1, (1, 0, 0), M, N) if of == "momentum" else Sector(2, (0, 0, 0), M, N)
    h0 = vector(sector, x=1) if of == "momentum" else vector(sector, xx=1, yy=1, zz=1)
    h0 = h0[sector.of_system] / np.linalg.norm(h0)
    times = np.array([0.01, 0.3, 1, 4, 30])
    found = Evolution(sector, lambda_s, lambda_r, mu).distances(times, h0)
    fast = -np.expm1(-mu / 3 * (1 + M / N) * times)
    own = M / (M + N) * fast + np.exp(-mu / 3 * times) * np.expm1(-mu / 3 * M / N * times)
    # own is a difference of terms of order M/N of which little is left at the first time
    assert found.marginal == pytest.approx(own, rel=1e-9, abs=1e-13 * M / N)
    assert found.joint == pytest.approx(np.hypot(own, sqrt(M * N) / (M + N) * fast), rel=1e-11)
    limit = Evolution(sector, lambda_s, lambda_r, mu).plateau(h0)
    assert limit.joint == pytest.approx(sqrt(M / (M + N)), rel=1e-12)
    assert limit.marginal == pytest.approx(M / (M + N), rel=1e-12)


@pytest.mark.parametrize(("M", "N", "degree"), [(2, 3, 3), (3, 1, 4), (10, 1000, 3)])
def test_evolution_is_the_exponential_of_the_matrices(M, N, degree):
    rng = np.random.default_rng(1)
    for sector in sectors(degree, M, N, distinct=True):
        evolution, own = Evolution(sector, *RATES), sector.of_system
        h0 = np.zeros(len(own))
        h0[own] = rng.normal(size=own.sum())
        times = [0.0, 0.2, 1.5, 20.0]
        parts, worst = evolution.distances(times, h0[own]), evolution.worst(times)
        for i, t in enumerate(times):
            R, T = expm(t * sector.generator(*RATES)), np.zeros((len(own), own.sum()))
            T[own] = expm(t * sector.thermostat(RATES[0], RATES[2]))
            assert evolution.with_reservoir(t, h0[own]) == pytest.approx(R @ h0, abs=1e-12)
            assert evolution.with_thermostat(t, h0[own]) == pytest.approx((T @ h0[own])[own], abs=1e-12)
            difference, gap = R @ h0 - T @ h0[own], R[:, own] - T
            assert evolution.difference([t], h0[own])[0] == pytest.approx(difference, abs=1e-12)
            along = sector.invariants @ (sector.invariants.T @ difference)
            for part, expected in (
                (parts.joint, difference), (parts.marginal, difference[own]),
                (parts.conserved, along), (parts.transient, difference - along),
                (worst.joint, gap), (worst.marginal, gap[own]),
            ):  # fmt: skip
                assert part[i] == pytest.approx(np.linalg.norm(expected, 2), abs=1e-12)


@pytest.mark.parametrize("chosen", [1, 2])
def test_initial_coefficients_are_integrals(chosen):
    # h0 integrated against each Hermite polynomial: a wrong share of the particles, or a factorial too many
    M, g = 2, {(0, 0, 0): 1.0, (1, 0, 0): 0.3, (0, 2, 0): 0.2, (1, 1, 0): 0.1, (0, 0, 1): -0.4}
    nodes, heights = hermegauss(4)
    z = np.array(list(product(nodes, repeat=6))).reshape(-1, 2, 3)
    weight = np.prod(list(product(heights / heights.sum(), repeat=6)), axis=1)
    he = [hermeval(z, np.eye(k + 1)[k]) for k in range(3)]
    density = sum(c * he[a][..., 0] * he[b][..., 1] * he[d][..., 2] for (a, b, d), c in g.items())  # (points, 2)
    h0 = density.mean(axis=1) if chosen == 1 else density.prod(axis=1)

    def moment(alpha):
        return g.get(alpha, 0.0) * Label((alpha,)).factorial

    for degree in range(1, 4):
        for sector in sectors(degree, M, 3):
            own = [label for label in sector.labels if not label.reservoir]
            expected = functions(own, z, M, 0) @ (weight * h0)
            assert initial(sector, moment, chosen) == pytest.approx(expected, abs=1e-13)


def test_what_does_not_exist_is_refused():
    for wrong in ((0, (0, 0, 0), 1, 1), (2, (1, 0, 0), 1, 1), (1, (1, 1, 1), 1, 1), (1, (1, 0, 0), 0, 5)):
        with pytest.raises(InputError, match="must be|parities"):
            Sector(*wrong)
    with pytest.raises(InputError, match="between 0 and M"):
        initial(Sector(1, (1, 0, 0), 2, 3), lambda alpha: 1.0, 3)
    assert [str(label) for label in Sector(2, (1, 1, 0), 1, 1).labels] == ["xy", "x|y", "y|x", "|xy"]


@pytest.mark.slow
def test_one_particle_has_the_eigenvalues_of_closed_form():
    for n in range(1, 6):
        expected = sorted(tau(k, n - 2 * k) for k in range(n // 2 + 1) for _ in range(2 * (n - 2 * k) + 1))
        found = [1 + np.linalg.eigvalsh(sector.thermostat(0, 1)) for sector in sectors(n, 1, 4)]
        assert np.sort(np.concatenate(found)) == pytest.approx(expected, rel=1e-12)
    assert [tau(*shape) for shape in ((0, 1), (1, 0), (1, 1), (2, 0), (0, 2))] == pytest.approx(
        [2 / 3, 2 / 3, 8 / 15, 8 / 15, 7 / 15]
    )
    assert l_squared(40) == pytest.approx(56 / 225, rel=1e-13)
    assert max(tau(*shape) for shape in shapes(40) if 2 * shape[0] + shape[1] > 12) < 1 / 3


def test_lemma_2_holds_with_the_square_of_a_collision():
    # as printed, with R for R^2, its right side is at least twice the left one
    for n in range(1, 5):
        both = []
        for sector in sectors(n, 1, 3):
            lemma = theorem.lemma2(n, sector.parity, 3)
            assert lemma.measured == pytest.approx(lemma.mended, abs=1e-15)
            root = np.linalg.inv(np.linalg.cholesky(lemma.printed))
            both += list(np.linalg.eigvalsh(root @ lemma.measured @ root.T))
        # one particle at a time: rho and tau are quadratures of their own
        expected = [
            (rho(k, n - 2 * k) - tau(k, n - 2 * k) ** 2) / (tau(k, n - 2 * k) * (1 - tau(k, n - 2 * k)))
            for k in range(n // 2 + 1)
            for _ in range(2 * (n - 2 * k) + 1)
        ]
        assert np.sort(both) == pytest.approx(np.sort(expected), rel=1e-10)
        assert max(both) < 0.5 + 1e-12
    assert r_ratio(0, 1) == pytest.approx(1 / 3, rel=1e-12)
    assert r_ratio(1, 0) == pytest.approx(1 / 3, rel=1e-12)
    assert r_star(14) == pytest.approx(1 / 3, rel=1e-11)
    assert sorted(r_ratio(*shape) for shape in shapes(14))[-3] == pytest.approx(5 / 21, rel=1e-11)


def test_lemma_3_holds_for_one_particle_and_its_use_for_all():
    for M in (1, 2, 50):
        printed, used = theorem.lemma3(Sector(1, (1, 0, 0), M, 3))
        assert printed == pytest.approx(1 - 1 / (3 * M))
        assert used == pytest.approx(1 / 3)
        for degree in (2, 3, 4):
            assert min(theorem.lemma3(sector)[1] for sector in sectors(degree, M, 3)) > 1 / 3 - 1e-13


@pytest.mark.parametrize(("M", "N"), SIZES)
def test_lemma_1_is_sharp_with_another_constant(M, N):
    # momentum and energy attain it, nothing exceeds it, and C of the paper is larger
    for degree in range(1, 5):
        norms = [theorem.lemma1_norm(sector) for sector in sectors(degree, M, N, distinct=True)]
        assert max(norms)[0] <= sqrt(M / (M + N)) * (1 + 1e-11)
        if degree < 3:
            assert max(norms) == pytest.approx((sqrt(M / (M + N)), M / (M + N)), rel=1e-11)
    assert theorem.lemma1_constant(M, N) > sqrt(M / (M + N))


def test_the_constant_of_lemma_1_scales_like_a_root():
    # sqrt(M/N) (1 + sqrt 3), not M/N as the paper has it
    for N in (10**4, 10**8):
        assert theorem.lemma1_constant(1, N) == pytest.approx((1 + sqrt(3)) / sqrt(N), rel=2 / N)


rate = st.sampled_from([0.0, 0.01, 1.0, 50.0])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.sampled_from([1, 2, 5, 40, 10**5]), rate, rate, st.integers(1, 4))
def test_nothing_exceeds_the_sharper_theorem(M, N, lambda_s, lambda_r, degree):
    # any h0 of the sector, at many times; the paper's bound is held against the same
    times, mu = np.geomspace(1e-3, 200, 25), 1.7
    k = theorem.spectral_gap(3, M, N, lambda_s, lambda_r, mu)
    for sector in sectors(degree, M, N, distinct=True):
        worst = Evolution(sector, lambda_s, lambda_r, mu).worst(times)
        assert (worst.joint <= theorem.joint_bound(times, M, N, mu) * (1 + 1e-9)).all()
        assert (worst.marginal <= theorem.marginal_bound(times, M, N, mu) * (1 + 1e-9)).all()
        assert worst.joint.max() <= sqrt(M / (M + N)) * (1 + 1e-9)  # not proved
        if degree <= 3:
            assert (worst.joint <= theorem.paper_bound(times, M, N, lambda_s, mu, k)).all()


def test_the_bound_of_the_paper_by_hand():
    # a lost sign, mu or root: M = 2, N = 8, t = 1, k = 1 against numbers typed in
    C = sqrt(6 / 19) + sqrt((10 / 8) ** 3 - 1)
    bump = 0.5 * sqrt(56 / 225) * 2 / sqrt(8) * (exp(-0.5 / 3) - exp(-1)) / (1 - 0.5 / 3)
    expected = C * -expm1(-(1.2 / 2 + 0.5) * 2) + bump
    assert theorem.paper_bound(1.0, 2, 8, 1.2, 0.5, 1.0) == pytest.approx(expected, rel=1e-12)
    # k = mu/3 is no division by zero
    assert np.isfinite(theorem.paper_bound([0.0, 1.0], 2, 8, 1.2, 0.5, 0.5 / 3)).all()


def test_the_state_of_the_system_is_an_order_closer():
    # joint distance of order (M/N)^(1/2), that of the system M/N
    sizes = np.array([10**3, 10**5, 10**7])
    worst = [Evolution(Sector(1, (1, 0, 0), 10, int(N)), *RATES).worst([50.0]) for N in sizes]
    for part, slope in (("joint", -0.5), ("marginal", -1.0)):
        values = [float(getattr(one, part)[0]) for one in worst]
        assert np.diff(np.log(values)) / np.diff(np.log(sizes)) == pytest.approx(slope, abs=3e-3)

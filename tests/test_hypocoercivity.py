"""Decay to equilibrium: gaps against closed forms, bounds against gaps, functionals against matrices and integrals."""

from math import pi, sqrt

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import quad, solve_ivp
from scipy.linalg import expm

from kinlim.errors import InputError
from kinlim.models.reaction.profile import GaussianProfile, MixtureProfile, PowerProfile
from kinlim.models.reaction.tables import KineticReaction
from kinlim.validation.reaction import sobolev
from kinlim.validation.reaction.compactness import averaging, lemma_3_2, lemma_3_4
from kinlim.validation.reaction.decay import rate
from kinlim.validation.reaction.functionals import functionals
from kinlim.validation.reaction.hypocoercivity import overall, table
from kinlim.validation.reaction.linearised import Linearised
from kinlim.validation.reaction.plasma import GaussianLaw, StudentLaw
from kinlim.validation.reaction.spectrum import count, critical, gap, roots
from kinlim.validation.reaction.theorem import METHODS, Form, Ingredients, best_delta, bound
from kinlim.validation.reaction.truncated import abscissa, matrix, rule

UNIT = GaussianProfile(family="gaussian", covariance=1.0)
NARROW = GaussianProfile(family="gaussian", covariance=0.25)
HUMPS = MixtureProfile(family="mixture", weights=(0.5, 0.5), means=(-1.0, 1.0), covariances=(0.01, 0.01))
SKEW = MixtureProfile(family="mixture", weights=(0.25, 0.75), means=(-1.5, 0.5), covariances=(0.1, 0.3))
POWER2, POWER3, POWER4 = (PowerProfile(family="power", k=k) for k in (2.0, 3.0, 4.0))
UNIT_LAW = GaussianLaw(np.ones(1), np.zeros(1), np.ones(1))
NARROW_LAW = GaussianLaw(np.ones(1), np.zeros(1), np.array([0.25]))
RHOS = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)


# --- resolvents -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "law",
    [
        GaussianLaw(np.ones(1), np.zeros(1), np.array([0.25])),
        GaussianLaw(np.array([0.25, 0.75]), np.array([-1.5, 0.5]), np.array([0.1, 0.3])),
        StudentLaw(1.7),
        StudentLaw(40.0),
    ],
)
@pytest.mark.parametrize("zeta", [0.05, 0.7 + 2j, 3 - 1.1j, 9 + 9j, 40.0])
def test_resolvents_are_their_integrals(law, zeta):
    def density(u):
        if isinstance(law, StudentLaw):
            from scipy.stats import t

            return t.pdf(u * sqrt(2 * law.k - 1), 2 * law.k - 1) * sqrt(2 * law.k - 1)
        return sum(
            w * np.exp(-((u - a) ** 2) / 2 / s) / sqrt(2 * pi * s)
            for w, a, s in zip(law.weights, law.means, law.variances, strict=True)
        )

    def integral(power):
        def f(y):  # u = sinh y: heavy tails become light, the peak at u = i zeta stays in the middle
            u = np.sinh(y)
            return density(u) * u**power * np.cosh(y) / (zeta + 1j * u)

        return quad(f, -30, 30, complex_func=True, limit=400, epsabs=1e-13, epsrel=1e-12, points=[-1, 0, 1])[0]

    at = np.array([zeta], complex)
    assert law.g(at)[0] == pytest.approx(integral(0), rel=1e-10)
    assert law.m(at)[0] == pytest.approx(integral(2), rel=1e-9)


def test_resolvent_keeps_its_digits_where_free_paths_are_short():
    # 1 - zeta G = m4-series: sigma^2/zeta^2 - 3 sigma^4/zeta^4; the naive difference has no digit left at zeta = 1e9
    law = GaussianLaw(np.ones(1), np.zeros(1), np.array([2.0]))
    zeta = np.array([1e9, 11.9, 12.1], complex) * sqrt(2.0)
    assert law.m(zeta)[0] * zeta[0] == pytest.approx(2.0, rel=1e-14)
    series = [
        2 / z * sum((-1) ** n * np.prod(np.arange(1, 2 * n + 2, 2.0)) * (2 / z**2) ** n for n in range(25))
        for z in zeta
    ]
    assert law.m(zeta) == pytest.approx(np.array(series), rel=1e-11)  # both sides of the switch


# --- exact gaps -------------------------------------------------------------------------------------------------------

REFERENCES = [  # mpmath 1.3, erfc and findroot with 30 digits
    (1 / 8, 0.05, UNIT, NARROW, -49.1124552900232375),
    (1.0, 0.2, UNIT, NARROW, -14.8636588376501033),
    (2.0, 0.1, UNIT, NARROW, -36.4158785610676121),
    (8.0, 0.01, UNIT, NARROW, -265.29007876028523),
    (0.5, 0.01, UNIT, NARROW, -19.6739717422487342),
    (1.0, 0.1, HUMPS, HUMPS, -50.7887249724878535 - 37.5368245765950261j),
    (2.0, 0.1, SKEW, UNIT, -32.6060944809001986 - 19.7351851007302487j),
]


@pytest.mark.parametrize(("rho", "epsilon", "chi1", "chi2", "expected"), REFERENCES)
def test_gaps_of_gaussians_in_high_precision(rho, epsilon, chi1, chi2, expected):
    found = gap(Linearised(rho, epsilon, chi1, chi2), (1,))
    assert found.discrete
    assert found.rate == pytest.approx(-expected.real, rel=1e-12)
    assert found.frequency == pytest.approx(abs(expected.imag), rel=1e-12)


@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize("kappa", [0.01, 0.1, 0.3, 0.6, 1.0, 3.0])
def test_roots_for_a_rational_law_are_those_of_a_polynomial(rho, kappa):
    # for chi = (2/pi)(1 + u^2)^-2, G = (zeta + 2)/(zeta + 1)^2, so D = 0 is a polynomial equation of degree 4: all of
    # its roots to the right of the essential spectrum must be found, and no other
    mode = Linearised(rho, kappa / (2 * pi), POWER2, POWER2).mode((1,))
    z1, z2 = (np.poly1d([1 / kappa, a / kappa]) for a in mode.losses)
    polynomial = (z1 + 2) * (z2 + 2) - kappa**2 * (z1 + 1) ** 2 * (z2 + 1) ** 2
    expected = np.sort_complex([s for s in polynomial.roots if s.real > -min(mode.losses) * (1 - 1e-8)])
    assert np.sort_complex(roots(mode)) == pytest.approx(expected, rel=1e-9)
    assert count(mode) == len(expected)


def test_the_eigenvalue_enters_the_essential_spectrum_at_a_known_wave_number():
    # rho = 1, equal Gaussians: I(-1) = sqrt(pi/2)/kappa = 1
    edge = sqrt(pi / 2) / (2 * pi)
    before, after = (gap(Linearised(1.0, edge * factor, UNIT, UNIT), (1,)) for factor in (0.999, 1.001))
    assert before.discrete
    assert not after.discrete
    assert before.rate * (edge * 0.999) ** 2 == pytest.approx(1, abs=5e-3)
    assert after.rate == 1 / (edge * 1.001) ** 2


@pytest.mark.parametrize(("chi", "order"), [(UNIT, 2), (POWER4, 2), (POWER2, 1)])
def test_gaps_tend_to_the_rate_of_the_limit(chi, order):
    # where the fourth moment is infinite the limit is reached at a lower order: |u|^4 chi ~ 1 for k = 2
    systems = [Linearised(2.0, epsilon, chi, NARROW) for epsilon in (2e-3, 1e-3)]
    errors = [1 - gap(system, (1,)).rate / system.diffusion_rate((1,)) for system in systems]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.05)
    tiny = Linearised(2.0, 1e-7, chi, NARROW)
    assert gap(tiny, (3,)).rate == pytest.approx(tiny.diffusion_rate((3,)), rel=1e-5)


def test_opposite_wave_vectors_have_conjugate_eigenvalues():
    system = Linearised(2.0, 0.05, SKEW, UNIT)
    assert gap(system, (-1,)).roots == pytest.approx([root.conjugate() for root in gap(system, (1,)).roots], rel=1e-11)
    assert gap(system, (1,)).frequency > 1


def test_gaps_in_two_dimensions_see_the_projected_law():
    full = GaussianProfile(family="gaussian", covariance=((1.0, 0.4), (0.4, 0.5)))
    system = Linearised(2.0, 0.03, full, POWER4, 2)
    e = np.array([1.0, -2.0]) / sqrt(5)
    line = GaussianProfile(family="gaussian", covariance=float(e @ full.covariance_matrix(2) @ e))
    equal = Linearised(2.0, 0.03 * sqrt(5), line, POWER4.marginal(2))
    assert gap(system, (1, -2)).rate == pytest.approx(5 * gap(equal, (1,)).rate, rel=1e-12)
    assert system.diffusion_rate((1, -2)) == pytest.approx(5 * equal.diffusion_rate((1,)), rel=1e-12)


def test_homogeneous_mode_is_the_spectrum_of_the_collisions():
    assert gap(Linearised(4.0, 0.1, UNIT, NARROW), (0,)).rate == pytest.approx(25)


# --- truncated matrices -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chi", [UNIT, HUMPS, SKEW, POWER2])
@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("rho", [0.5, 1.0])
def test_truncated_matrices_are_trusted_where_they_are_right_and_nowhere_else(chi, epsilon, rho):
    system = Linearised(rho, epsilon, chi, NARROW)
    exact, mode = gap(system, (1,)), system.mode((1,))
    for nodes in (8, 16, 32, 64):
        found = abscissa(mode, nodes)
        wrong = abs(-found.s.real / epsilon**2 / exact.rate - 1)
        if found.trusted:
            assert exact.discrete
            assert wrong < 1e-5
        if wrong > 1e-4:  # so that trust is not denied where the error is small, up to a factor
            assert not found.trusted
        elif wrong < 1e-9 and exact.discrete:
            assert found.trusted


def test_the_matrix_has_the_spectrum_of_the_polynomials():
    # the same operator in orthonormal polynomials, closed with the K-th coefficient 0
    K, rho, kappa = 12, 2.0, 0.7
    mode = Linearised(rho, kappa / (2 * pi), UNIT, NARROW).mode((1,))
    beside = np.sqrt(np.arange(1.0, K))
    flight = [sigma * (np.diag(beside, 1) + np.diag(beside, -1)) for sigma in (1.0, 0.5)]
    full = np.zeros((2 * K, 2 * K), complex)
    full[:K, :K] = -np.eye(K) / rho - 1j * kappa * flight[0]
    full[K:, K:] = -np.eye(K) * rho - 1j * kappa * flight[1]
    full[0, K], full[K, 0] = -rho, -1 / rho
    key = lambda z: (round(z.real, 9), round(z.imag, 9))  # noqa: E731
    found, expected = (sorted(np.linalg.eigvals(m), key=key) for m in (matrix(mode, K), full))
    assert found == pytest.approx(expected, abs=1e-9)


def test_gauss_rule_of_a_mixture_is_exact_to_its_degree():
    law = Linearised(1.0, 1.0, SKEW, UNIT).mode((1,)).law1
    sums = rule(law, 10)
    fine = SKEW.quadrature(1, 40)
    for degree in range(20):
        assert sums.masses @ sums.nodes**degree == pytest.approx(fine[1] @ fine[0][:, 0] ** degree, rel=1e-9, abs=1e-9)


# --- the theorem ------------------------------------------------------------------------------------------------------


class Operators:
    """L, T, Pi, A of one mode as matrices on sqrt(weight) F, so that the scalar product (10) is the plain one."""

    def __init__(self, mode, nodes=24):
        n1, n2 = (rule(law, nodes) for law in (mode.law1, mode.law2))
        rho = mode.rho_inf
        weight = np.concatenate([n1.masses / rho, n2.masses * rho])
        n = len(n1.nodes)
        scale = np.sqrt(weight)
        generator = matrix(mode, nodes)
        self.T = 1j * mode.kappa * np.diag(np.concatenate([n1.nodes, n2.nodes]))
        self.L = ((generator + self.T) * scale[:, None] / scale).real
        density = np.concatenate([n1.masses, -n2.masses])  # rho_f - rho_g of values f/chi1, g/chi2
        local = np.concatenate([np.full(n, rho**2), np.full(len(n2.nodes), -1.0)]) / (rho**2 + 1)  # (12)
        self.Pi = np.outer(local * scale, density / scale)
        TPi = self.T @ self.Pi
        self.A = np.linalg.solve(np.eye(len(weight)) + TPi.conj().T @ TPi, TPi.conj().T)
        self.micro = np.eye(len(weight)) - self.Pi


@pytest.mark.parametrize("rho", [1 / 8, 1.0, 3.0])
@pytest.mark.parametrize("chis", [(UNIT, NARROW), (SKEW, UNIT), (POWER4, NARROW)])
def test_assumptions_of_the_theorem_hold_with_the_constants_stated(rho, chis):
    # rho in the first component of T Pi F in place of rho^2, as printed, would break the equality for lambda_M
    system = Linearised(rho, 1.0, *chis)
    constants, mode = bound(system), system.mode((1,))
    op = Operators(mode)
    assert abs(op.L - op.L.T).max() < 1e-12
    assert abs(op.Pi - op.Pi.T).max() < 1e-12
    assert op.Pi @ op.Pi == pytest.approx(op.Pi, abs=1e-12)
    assert abs(op.Pi @ op.T @ op.Pi).max() < 1e-12  # (18)
    eigenvalues = np.linalg.eigvalsh(-op.L)  # (13) is sharp: 0, then min(rho, 1/rho), ..., and rho + 1/rho once
    assert eigenvalues[0] == pytest.approx(0, abs=1e-12)
    assert eigenvalues[1] == pytest.approx(constants.lambda_m, rel=1e-12)
    assert eigenvalues[-1] == pytest.approx(rho + 1 / rho, rel=1e-12)
    rng = np.random.default_rng(7)
    for F in rng.standard_normal((20, 48)) + 1j * rng.standard_normal((20, 48)):
        micro, macro = op.micro @ F, op.Pi @ F
        assert -np.vdot(F, op.L @ F).real >= constants.lambda_m * np.vdot(micro, micro).real  # (13)
        tpi = np.linalg.norm(op.T @ macro) ** 2
        assert tpi == pytest.approx(constants.lambda_M * np.linalg.norm(macro) ** 2, rel=1e-9)  # (17), k = 1
        left = np.linalg.norm(op.A @ op.T @ micro) + np.linalg.norm(op.A @ op.L @ F)
        assert left <= constants.C_M * np.linalg.norm(micro)  # (19)


@pytest.mark.parametrize("kappa", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("chis", [(UNIT, NARROW), (SKEW, UNIT)])
def test_norms_of_the_auxiliary_operators_are_closed_forms(kappa, chis):
    mode = Linearised(2.0, kappa / (2 * pi), *chis).mode((1,))
    op, one = Operators(mode), Ingredients.of([mode])
    norm = lambda m: np.linalg.norm(m, 2)  # noqa: E731
    assert norm(op.A @ op.T @ op.micro) == pytest.approx(one.b[0] * sqrt(one.at[0]), rel=1e-9)
    assert norm(op.A @ op.L) == pytest.approx(one.alpha[0] * sqrt(one.al[0]), rel=1e-9)
    assert norm(op.A) == pytest.approx(one.alpha[0], rel=1e-9)
    assert norm(op.T @ op.A) == pytest.approx(one.b[0], rel=1e-9)
    x, y = (op.A @ op.T @ op.micro, op.A @ op.L)
    best = max(norm(x + np.exp(1j * phase) * y) for phase in np.linspace(0, 2 * pi, 721))
    skewed = one.b**2 * one.at + one.alpha**2 * one.al + 2 * one.alpha * one.b * one.skew
    assert best == pytest.approx(sqrt(skewed[0]), rel=1e-5)  # 721 phases
    assert norm(op.A @ op.L - op.A @ op.T @ op.micro) == pytest.approx(
        sqrt(one.b[0] ** 2 * one.at[0] + one.alpha[0] ** 2 * one.al[0]), rel=1e-9
    )


def test_remark_1_is_the_derivative_of_h0_and_its_rate_is_kept():
    mode = Linearised(2.0, 0.1, UNIT, SKEW).mode((1,))
    op = Operators(mode)
    proved, delta = best_delta([mode])
    form = np.eye(48) / 2 + delta * (op.A + op.A.conj().T) / 2
    generator = op.L - op.T
    whole = form @ generator
    whole = whole + whole.conj().T
    rng = np.random.default_rng(3)
    F = rng.standard_normal(48) + 1j * rng.standard_normal(48)
    inner = lambda m: np.vdot(F, m @ F).real  # noqa: E731
    stated = inner(op.L) - delta * (
        inner(op.A @ op.T @ op.Pi) + inner(op.A @ op.T @ op.micro) - inner(op.T @ op.A) - inner(op.A @ op.L)
    )
    assert inner(whole) == pytest.approx(stated, rel=1e-10)  # (20)
    worst = np.linalg.eigvalsh(whole + 2 * proved * form)[-1]
    assert worst <= 1e-10  # dH0/dt <= -2 rate H0 for every F
    assert proved > 0


@pytest.mark.slow
@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.01])
def test_explicit_bounds_are_below_the_exact_gap(rho, epsilon):
    for chis in ((UNIT, NARROW), (SKEW, UNIT), (HUMPS, HUMPS), (POWER4, UNIT)):
        found = overall(Linearised(rho, epsilon, *chis))
        for method in METHODS:
            assert 0 < found[method].rate <= found["gap"] * (1 + 1e-9)
            assert found[method].prefactor >= 1


def test_only_the_bound_that_ignores_epsilon_degenerates():
    orders = {}
    for method in METHODS:
        rates = [bound(Linearised(2.0, epsilon, UNIT, NARROW), method).rate for epsilon in (1e-3, 1e-4)]
        orders[method] = np.log10(rates[0] / rates[1])
    assert orders["theorem"] == pytest.approx(2, abs=0.05)
    assert orders["scaled"] == pytest.approx(0, abs=0.05)
    assert orders["modes"] == pytest.approx(0, abs=0.05)


def test_the_semigroup_is_below_its_bound():
    system = Linearised(0.5, 0.3, UNIT, NARROW)
    explicit = bound(system, "modes")
    for k in (1, 2, 5):
        op = Operators(system.mode((k,)), 40)
        for t in (0.1, 1.0, 5.0):
            size = np.linalg.norm(expm((op.L - op.T) * t / 0.3**2), 2)
            assert size <= explicit.prefactor * np.exp(-explicit.rate * t)


def test_best_rate_over_delta_is_the_best():
    form = Form(np.array([0.3, 0.8]), np.array([0.7, 1.5]), np.array([0.3, 0.8]), np.array([0.4, 0.2]), 0.5)
    rate_, delta = form.best()
    net = float(form.rate(np.linspace(1e-4, 2, 200_001)).max())
    assert net <= rate_ <= net + 1e-6  # a net of width 1e-5, a slope below 0.1
    assert rate_ == pytest.approx(float(form.rate(np.array(delta))))


def test_theorem_needs_fourth_moments():
    # (3) allows k = 2 in dimension 1, where A T is not bounded: the exact gap is positive all the same
    system = Linearised(1.0, 0.1, POWER2, UNIT)
    assert bound(system) is None
    assert bound(Linearised(1.0, 0.1, PowerProfile(family="power", k=2.6), UNIT)) is not None
    assert overall(system)["gap"] > 0
    norms = [np.linalg.norm((op := Operators(system.mode((1,)), n)).A @ op.T @ op.micro, 2) for n in (8, 32, 128)]
    assert norms[2] > 1.5 * norms[1] > 1.5**2 * norms[0]
    with pytest.raises(InputError, match="theorem, scaled, modes"):
        bound(system, "lemma")


# --- functionals ------------------------------------------------------------------------------------------------------


def dataset(x, times, f, g, system, nodes):
    """A kinetic dataset of given values f/chi1 and g/chi2, shape (time, node, x)."""
    mode = system.mode((1,))
    law1, law2 = rule(mode.law1, nodes), rule(mode.law2, nodes)
    return xr.Dataset(
        {
            "f": (("time", "node", "x"), f), "g": (("time", "node", "x"), g),
            "v_f": ("node", law1.nodes), "v_g": ("node", law2.nodes),
            "chi1": ("node", law1.masses), "chi2": ("node", law2.masses),
        },
        {"time": times, "x": x},
        {"epsilon": system.epsilon, "rho_inf": system.rho_inf},
    )  # fmt: skip


def linear_solution(system, nodes, times, points, modes):
    """A real solution of the linearised system with these wave numbers, about the equilibrium."""
    rng, x = np.random.default_rng(5), np.arange(points) / points
    f, g = (
        np.full((len(times), nodes, points), system.rho_inf),
        np.full((len(times), nodes, points), 1 / system.rho_inf),
    )
    for k in modes:
        start = rng.standard_normal(2 * nodes) + 1j * rng.standard_normal(2 * nodes)
        start *= np.exp(-0.3 * np.abs(np.tile(np.arange(nodes) - nodes / 2, 2)))  # little at the outermost nodes
        generator = matrix(system.mode((k,)), nodes) / system.epsilon**2
        wave = np.exp(2j * pi * k * x)
        for i, t in enumerate(times):
            values = expm(generator * t) @ start
            f[i] += 0.02 * np.outer(values[:nodes], wave).real
            g[i] += 0.02 * np.outer(values[nodes:], wave).real
    return x, f, g


def test_functionals_of_a_linear_solution():
    system, nodes = Linearised(2.0, 0.2, UNIT, NARROW), 16
    times = np.linspace(0, 0.2, 21)
    x, f, g = linear_solution(system, nodes, times, 8, (1, 2))
    found = functionals(dataset(x, times, f, g, system, nodes))
    # the matrices of the modes give the same; the mean over x of a real wave is half of its square
    each = 0
    for k in (1, 2):
        op = Operators(system.mode((k,)), nodes)
        law1, law2 = (rule(law, nodes) for law in (system.mode((k,)).law1, system.mode((k,)).law2))
        scale = np.sqrt(np.concatenate([law1.masses / 2.0, law2.masses * 2.0]))
        values = 2 * np.fft.fft(np.concatenate([f, g], axis=1), axis=2)[:, :, k] / 8 * scale
        form = np.eye(2 * nodes) / 2 + found.attrs["H0_delta"] * op.A
        each = each + np.einsum("ti,ij,tj->t", values.conj(), form, values).real / 2
    assert found["H0"].to_numpy() == pytest.approx(each, rel=1e-10)
    assert found["distance"][0] == pytest.approx(
        sqrt(
            np.mean(
                rule(UNIT_LAW, nodes).masses @ (f[0] - 2) ** 2 / 2
                + rule(NARROW_LAW, nodes).masses @ (g[0] - 0.5) ** 2 * 2
            )
        )
    )
    assert found.attrs["H0_rise"] == found.attrs["H1_rise"] == 0
    h0, h1 = found["H0"].to_numpy(), found["H1"].to_numpy()
    step = times[1]
    assert (h0[1:] <= h0[:-1] * np.exp(-2 * found.attrs["H0_rate"] * step)).all()
    assert (h1[1:] <= h1[:-1] * np.exp(-found.attrs["H1_tau"] * step)).all()
    norm = found["distance"].to_numpy()
    assert (h0 >= (1 - found.attrs["H0_delta"] / 2) * norm**2 / 2).all()


def test_h1_is_its_integral():
    # f = rho + c(x) p(v), g = 1/rho + s(x) q(v): derivatives of sqrt(chi) p by hand, integrals by a fine rule in v
    rho, system, nodes = 2.0, Linearised(2.0, 0.5, UNIT, NARROW), 12
    x = np.arange(16) / 16
    law1, law2 = rule(UNIT_LAW, nodes), rule(NARROW_LAW, nodes)
    p, q = (lambda v: 1 + v - 0.3 * v**3), (lambda v: 0.5 * v + v**2)
    dp, dq = (lambda v: 1 - 0.9 * v**2), (lambda v: 0.5 + 2 * v)
    c, s = np.cos(2 * pi * x), np.sin(2 * pi * x) + 0.5 * np.cos(4 * pi * x)
    f, g = rho + np.outer(p(law1.nodes), c), 1 / rho + np.outer(q(law2.nodes), s)
    found = functionals(dataset(x, np.zeros(1), f[None], g[None], system, nodes))
    omega, delta = found.attrs["H1_omega"], found.attrs["H1_delta"]
    total = 0.0
    fine = np.arange(256) / 256
    parts = [
        (np.cos(2 * pi * fine), -2 * pi * np.sin(2 * pi * fine), p, dp, 1.0, 1 / rho),
        (
            np.sin(2 * pi * fine) + 0.5 * np.cos(4 * pi * fine),
            2 * pi * np.cos(2 * pi * fine) - 2 * pi * np.sin(4 * pi * fine),
            q, dq, 0.25, rho,
        ),
    ]  # fmt: skip
    v = np.linspace(-12, 12, 4001)
    for wave, slope, poly, derivative, variance, weight in parts:
        chi = np.exp(-(v**2) / 2 / variance) / sqrt(2 * pi * variance)
        F, dF = np.sqrt(chi) * poly(v), np.sqrt(chi) * (derivative(v) - v * poly(v) / 2 / variance)
        mean = lambda a, b: np.trapezoid(a * b, v)  # noqa: E731
        total += weight * (
            mean(F, F) * (np.mean(wave**2) + np.mean(slope**2))
            + omega * mean(dF, dF) * np.mean(wave**2)
            + delta * mean(F, dF) * np.mean(wave * slope)
        )
    assert found["H1"][0] == pytest.approx(total, rel=1e-9)


def test_h1_mixed_term_has_the_sign_of_the_paper():
    # F = sqrt(chi)(cos(2 pi x) + v sin(2 pi x)): (F_x, F_v) = -pi(1/2 + 1/2 + ...) worked out on a grid in x and v
    system, nodes = Linearised(1.0, 0.5, UNIT, UNIT), 8
    x, law = np.arange(16) / 16, rule(UNIT_LAW, 8)
    wave = np.outer(np.ones(nodes), np.cos(2 * pi * x)) + np.outer(law.nodes, np.sin(2 * pi * x))
    flat = np.ones((1, nodes, 16))
    found = functionals(dataset(x, np.zeros(1), flat + wave[None], flat, system, nodes))
    v = np.linspace(-12, 12, 2001)[:, None]
    root = np.exp(-(v**2) / 4) / (2 * pi) ** 0.25
    F = root * (np.cos(2 * pi * x) + v * np.sin(2 * pi * x))
    F_x = 2 * pi * root * (-np.sin(2 * pi * x) + v * np.cos(2 * pi * x))
    F_v = -v / 2 * F + root * np.sin(2 * pi * x)
    integral = lambda a: np.trapezoid(a.mean(axis=1), v[:, 0])  # noqa: E731
    mixed = integral(F_x * F_v)
    assert abs(mixed) > 1
    expected = integral(F**2 + F_x**2 + found.attrs["H1_omega"] * F_v**2) + found.attrs["H1_delta"] * mixed
    assert found["H1"][0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("rho", "epsilon"), [(1 / 8, 1.0), (0.4, 1.0), (3.0, 1.0), (1.0, 2.5)])
def test_unit_weights_of_h1_do_not_always_decay(rho, epsilon):
    # Section 2.2 writes H1 with unit weights: for epsilon > 2 min(rho, 1/rho) no delta in (0, 2) makes it decay, and a
    # smaller weight on the velocity derivatives does
    assert all(sobolev.decay(rho, epsilon, 1.0, 1.0, 1.0, delta) < 0 for delta in np.linspace(0.01, 1.99, 30))
    found = sobolev.modified(rho, epsilon, 1.0, 1.0)
    assert found.omega < 4 * (min(rho, 1 / rho) / epsilon) ** 2
    assert found.tau > 0


@pytest.mark.parametrize(("rho", "epsilon"), [(1 / 8, 1.0), (1.0, 1.0), (2.0, 0.1)])
def test_h1_decays_with_more_functions_too(rho, epsilon):
    found = sobolev.modified(rho, epsilon, 1.0, 0.5)
    assert sobolev.decay(rho, epsilon, 1.0, 0.5, found.omega, found.delta, 60) == pytest.approx(found.tau, rel=1e-3)


def test_functionals_refuse_what_they_cannot_use():
    system = Linearised(1.0, 0.5, UNIT, UNIT)
    flat = np.ones((1, 8, 4))
    good = dataset(np.arange(4) / 4, np.zeros(1), flat, flat, system, 8)
    with pytest.raises(InputError, match="no v_f"):
        functionals(good.drop_vars("v_f"))
    with pytest.raises(InputError, match="delta = 2"):
        functionals(good, delta=2.0)
    power = Linearised(1.0, 0.5, POWER3, UNIT)
    assert "H1" not in functionals(dataset(np.arange(4) / 4, np.zeros(1), flat, flat, power, 8))


# --- measured rates ---------------------------------------------------------------------------------------------------


def test_rate_of_several_exponentials_is_the_slowest():
    t = np.linspace(0, 1, 41)
    found = rate(t, 3 * np.exp(-7 * t) + 2 * np.exp(-20 * t) - np.exp(-40 * t))
    assert found.rate == pytest.approx(7, abs=3 * found.uncertainty)
    assert found.uncertainty < 1e-3
    assert found.frequency == 0


@pytest.mark.parametrize("phase", [0.0, 1.0, 2.5])
def test_rate_of_an_oscillation(phase):
    t = np.sort(np.random.default_rng(2).uniform(0, 1, 60))  # the times need not be uniform
    found = rate(t, (0.4 + 0.9j) * np.exp(-5 * t) * np.cos(21 * t + phase))
    assert found.rate == pytest.approx(5, rel=1e-6)
    assert found.frequency == pytest.approx(21, rel=1e-6)


@pytest.mark.slow
def test_rate_of_noisy_series_is_within_its_uncertainty():
    rng, t = np.random.default_rng(11), np.linspace(0, 1, 41)
    error = np.full(41, 3e-3)
    for truth, series in ((7.0, 3 * np.exp(-7 * t) + 2 * np.exp(-20 * t)), (4.0, 3 * np.exp(-4 * t) * np.cos(20 * t))):
        found = [rate(t, series + error * rng.standard_normal(41), error) for _ in range(10)]
        off = np.abs([(one.rate - truth) / one.uncertainty for one in found])
        assert (off < 2).mean() >= 0.8  # of 10; the window is the one that seems best known, so not all of them
        assert off.max() < 6
        assert np.median([one.uncertainty for one in found]) < 0.03 * truth


def test_rate_finds_where_an_unknown_noise_begins():
    # an error-controlled solution decays into errors that nobody gave the size of: no oscillation, no slope of noise
    rng, t = np.random.default_rng(0), np.linspace(0, 0.3, 61)
    for _ in range(10):
        found = rate(t, np.exp(-36.4 * t) + 0.3 * np.exp(-100 * t) + 1e-5 * rng.standard_normal(61))
        assert found.frequency == 0
        assert found.rate == pytest.approx(36.4, rel=0.01)


def test_rate_of_too_little_is_none_and_of_nonsense_refused():
    t = np.linspace(0, 1, 10)
    assert rate(t[:3], np.exp(-t[:3])) is None
    assert rate(t, np.full(10, 0.1), np.full(10, 1.0)) is None
    assert rate(t, np.zeros(10)) is None
    with pytest.raises(InputError, match="same length"):
        rate(t, np.ones(9))
    with pytest.raises(InputError, match="increase"):
        rate(t[::-1], np.ones(10))


@pytest.mark.parametrize(
    ("system", "nodes", "end"),
    [
        (Linearised(2.0, 0.05, UNIT, NARROW), 16, 0.16),
        (Linearised(0.5, 0.1, UNIT, NARROW), 24, 0.4),
        (Linearised(1.0, 0.1, HUMPS, HUMPS), 12, 0.3),
    ],
)
def test_nonlinear_solution_of_small_amplitude_decays_at_the_exact_gap(system, nodes, end):
    # the nonlinear discrete-velocity system, spectral in x; within 0.5 % of the gap of the linearised continuous one
    points, rho, epsilon = 6, system.rho_inf, system.epsilon
    law1, law2 = (rule(law, nodes) for law in (system.mode((1,)).law1, system.mode((1,)).law2))
    x, k = np.arange(points) / points, np.fft.fftfreq(points, 1 / points) * (np.arange(points) != points // 2)
    derivative = np.fft.ifft(2j * pi * k[:, None] * np.fft.fft(np.eye(points), axis=0), axis=0).real

    size = 1e-3

    def change(_, y):  # of (f - rho, g - 1/rho)/size
        f, g = y.reshape(2, nodes, points) * size + np.array([rho, 1 / rho])[:, None, None]
        rho_f, rho_g = law1.masses @ f, law2.masses @ g
        return np.concatenate([
            (1 - rho_g * f - epsilon * law1.nodes[:, None] * (f @ derivative.T)).ravel(),
            (1 - rho_f * g - epsilon * law2.nodes[:, None] * (g @ derivative.T)).ravel(),
        ]) / epsilon**2 / size  # fmt: skip

    wave, times = np.outer(np.ones(nodes), np.cos(2 * pi * x)).ravel(), np.linspace(0, end, 61)
    start = np.concatenate([rho * wave, -wave / rho])
    solution = solve_ivp(change, (0, end), start, "BDF", times, rtol=1e-7, atol=1e-12).y
    found = solution.reshape(2, nodes, points, len(times)) * size + np.array([rho, 1 / rho])[:, None, None, None]
    m = np.einsum("v,vxt->xt", law1.masses, found[0]) - np.einsum("v,vxt->xt", law2.masses, found[1])
    exact, measured = gap(system, (1,)), rate(times, np.fft.fft(m, axis=0)[1], np.full(61, 1e-9))
    assert measured.rate == pytest.approx(exact.rate, rel=5e-3)
    assert measured.frequency == pytest.approx(exact.frequency, rel=5e-3)
    along = functionals(dataset(x, times, np.moveaxis(found[0], -1, 0), np.moveaxis(found[1], -1, 0), system, nodes))
    assert along.attrs["H0_rise"] == 0
    assert along.attrs.get("H1_rise", 0) == 0


# --- the table --------------------------------------------------------------------------------------------------------


def test_table_of_a_model():
    model = KineticReaction.model_validate(
        {
            "dimension": 2,
            "chi1": {"family": "gaussian", "covariance": [1.0, 0.3]},
            "chi2": {"family": "power", "k": 4.0},
            "f0": "2 + 0.1*cos(2*pi*x)",
            "g0": 0.5,
            "epsilon": 0.05,
            "end_time": 1.0,
            "observe": [1.0],
        }
    )
    rows, system = table(model), Linearised.of(model)
    assert system.rho_inf == pytest.approx(2, rel=1e-9)
    assert [(row["k"], row["axis"]) for row in rows] == [(0, "x")] + [(k, a) for k in range(1, 5) for a in "xy"]
    assert rows[0]["gap"] == pytest.approx(200)
    for row in rows[1:]:
        if row["trusted"]:
            assert row["truncated"] == pytest.approx(row["gap"], rel=1e-5)
        assert row["gap"] <= min(row["limit"], 200 * (1 + 1e-9))
    whole = overall(model)
    assert whole["gap"] == pytest.approx(min(row["gap"] for row in rows))
    assert whole["k"] == (0, 1)


# --- where the eigenvalue ends, and compactness -----------------------------------------------------------------------


@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize(("chi1", "chi2"), [(UNIT, NARROW), (POWER3, NARROW), (NARROW, POWER2)])
def test_the_last_eigenvalue_goes_where_the_closed_formula_says(rho, chi1, chi2):
    edge = critical(Linearised(rho, 1.0, chi1, chi2).mode((1,))) / (2 * pi)
    inside, outside = (count(Linearised(rho, edge * by, chi1, chi2).mode((1,))) for by in (0.999, 1.001))
    assert (inside, outside) == (1, 0)


def test_the_closed_formula_at_equal_masses_and_far_from_them():
    unit = 1 / sqrt(2 * pi)
    at_one = critical(Linearised(1.0, 1.0, UNIT, UNIT).mode((1,)))
    assert at_one == pytest.approx(pi * unit, rel=1e-12)
    far = critical(Linearised(1e-4, 1.0, NARROW, UNIT).mode((1,)))
    assert far == pytest.approx(pi * unit / 1e4, rel=1e-6)  # the next term is of relative order (kappa rho)^2


def test_the_closed_formula_is_not_given_where_complex_pairs_stay():
    assert critical(Linearised(1.0, 1.0, HUMPS, UNIT).mode((1,))) is None


def test_averaging_is_the_integral_and_is_reached():
    length = 7.0
    value = averaging(UNIT_LAW, length)
    weight = lambda u: np.exp(-(u**2) / 2) / sqrt(2 * pi) / (1 + (length * u) ** 2)  # noqa: E731
    assert value == pytest.approx(quad(weight, -40, 40, points=[0.0], epsabs=1e-14)[0], rel=1e-10)
    # f = chi/(1 + z^2) has |f|^2 + |h|^2 = int chi/(1 + z^2) = rho_f, and so rho_f^2 = K (|f|^2 + |h|^2)
    u, w = np.polynomial.hermite_e.hermegauss(200)
    chi, z = w / sqrt(2 * pi), length * u
    f = chi / (1 + z**2)
    norm = (f**2 / chi).sum() + (z**2 * f**2 / chi).sum()
    assert f.sum() ** 2 == pytest.approx(f.sum() * norm, rel=1e-12)


def test_averaging_gains_half_a_derivative_and_not_more():
    found = lemma_3_2(Linearised(1.0, 1.0, UNIT, NARROW))
    assert found.exponent == pytest.approx(0.5, abs=1e-3)
    assert found.constant == pytest.approx(sqrt(pi * 2 / sqrt(2 * pi)), rel=1e-3)  # pi max p, of the narrow one


def test_discrete_velocities_gain_nothing():
    """Theta = 0 of (3): a check that would find one half for every law finds nothing here."""
    two = rule(UNIT_LAW, 2)
    assert averaging(two, 1e4) == pytest.approx(0.5, rel=1e-6)
    assert averaging(two, 1e5) == pytest.approx(0.5, rel=1e-6)


def test_the_inequality_of_lemma_3_4_has_its_best_constant():
    rng = np.random.default_rng(1)
    for gamma in (1 / 3, 1 / 2, 1.0):
        x, t = np.exp(rng.uniform(-5, 5, (2, 200_000)))
        a = 2 * gamma / (1 + gamma)
        ratio = (1 + x**2) * (1 + x**a + t**a) / (1 + t**2 + x ** (2 * gamma) + x ** (2 + 2 * gamma))
        best = lemma_3_4(gamma)
        assert 0.999 * best < ratio.max() <= best * (1 + 1e-9)
        assert best < 5

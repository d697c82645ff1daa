"""The exact spectral gap of the linearised kinetic system, Fourier mode by Fourier mode.

For k not 0, f = -rho_inf chi1 rho_g/(s + 1/rho_inf + i kappa u) and its counterpart for g say that lambda = s/epsilon^2
is an eigenvalue to the right of the essential spectrum, Re s > -min(rho_inf, 1/rho_inf), if and only if

    D(s) = 1 - I1 I2 = 0,   I_j = int chi_j/(s + a_j + i kappa u) dv,   a_1 = 1/rho_inf, a_2 = rho_inf.

D is analytic there and tends to 1 at infinity. With I_j = (1 - m_j)/(s + a_j) and a_1 a_2 = 1,

    (s + a_1)(s + a_2) D(s) = s^2 + (a_1 + a_2) s + m_1 + m_2 - m_1 m_2,

which has no cancellation however small kappa is; beside the essential spectrum D itself has none. The argument
principle counts the roots; the secant method finds them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from kinlim.errors import RunError
from kinlim.validation.reaction.linearised import Linearised, Mode

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

BESIDE = 1e-9
"""Distance, in units of the gap to the essential spectrum, at which roots are no longer told from it."""

TURN = 0.5
"""Largest change of the argument of D between neighbouring points of the contour, in radians."""

SAME = 1e-7
"""Relative distance below which two roots are one."""

CLOSER = 0.05
"""Least factor by which a step of the secant method may reduce the distance from the essential spectrum."""

REAL = 1e-12
"""Imaginary part, relative to the modulus, that is rounding."""


@dataclass(frozen=True)
class Gap:
    """Decay of one Fourier mode, per unit of the time of (9).

    Attributes:
        rate: of decay: -(largest real part) of the spectrum.
        frequency: angular frequency |Im| of the slowest eigenvalue; 0 where it is real or there is none.
        discrete: whether an eigenvalue decides; otherwise it is the essential spectrum.
        roots: eigenvalues to the right of the essential spectrum, slowest first.
    """

    rate: float
    frequency: float
    discrete: bool
    roots: tuple[complex, ...]


def gap(system: Linearised, k: Sequence[int]) -> Gap:
    """The exact gap of the mode with wave vector 2 pi k.

    For k = 0 the mass difference is held at 0; then the eigenvalues are -1/rho_inf and -rho_inf (each on all that has
    no density) and -(rho_inf + 1/rho_inf), all over epsilon^2.

    Raises:
        RunError: the roots found are not as many as the argument principle counts.
    """
    if not any(k):
        return Gap(system.essential, 0.0, False, ())
    found = roots(system.mode(k)) / system.epsilon**2
    if not len(found):
        return Gap(system.essential, 0.0, False, ())
    return Gap(-float(found[0].real), float(abs(found[0].imag)), True, tuple(complex(root) for root in found))


def critical(mode: Mode) -> float | None:
    """The kappa beyond which no real eigenvalue is left, for even laws with one hump; None for other laws.

    At s = -min(a_1, a_2) the slower law's I is pi p(0)/kappa, p its density, and D = 0 reads

        kappa^2 = pi p(0) G(|1/rho_inf - rho_inf|/kappa),    G of the faster one,

    so that with zeta = |1/rho_inf - rho_inf|/kappa as the parameter kappa = sqrt(pi p(0) G(zeta)): a closed formula.
    For rho_inf = 1 kappa = pi sqrt(p_1(0) p_2(0)); far from 1 kappa -> pi p(0)/|1/rho_inf - rho_inf|. There is one
    solution, as kappa^2/G(const/kappa) grows. Where a law has several humps, pairs of complex eigenvalues stay longer.

    Source: derived from (7) of Neumann and Schmeiser; `tests/test_hypocoercivity.py` holds it against `count`.
    """
    laws = mode.law1, mode.law2
    if any(len(law.humps()) > 1 or law.humps()[0, 0] != 0 for law in laws):
        return None
    slow, fast = laws if mode.rho_inf >= 1 else laws[::-1]
    apart = abs(1 / mode.rho_inf - mode.rho_inf)
    slowest = float(slow.g(np.zeros(1, np.complex128))[0].real)

    def excess(log_kappa: float) -> float:
        kappa = np.exp(log_kappa)
        return 2 * log_kappa - float(np.log(slowest * fast.g(np.full(1, apart / kappa, np.complex128))[0].real))

    most = np.log(slowest * float(fast.g(np.zeros(1, np.complex128))[0].real)) / 2  # G decreases
    least = most - 1.0
    while excess(least) > 0:
        least -= 1.0
    return float(np.exp(brentq(excess, least, most + 1e-12, xtol=1e-14)))


def dispersion(mode: Mode, s: Complex) -> Complex:
    """D(s) for Re s > -min(a_1, a_2), shape (n,)."""
    (a1, a2), kappa = mode.losses, mode.kappa
    b1, b2 = s + a1, s + a2
    value = np.empty(s.shape, np.complex128)
    far = np.minimum(np.abs(b1), np.abs(b2)) > kappa
    if far.any():
        c1, c2, at = b1[far], b2[far], s[far]
        m1, m2 = kappa * mode.law1.m(c1 / kappa) / c1, kappa * mode.law2.m(c2 / kappa) / c2
        value[far] = (at * at + (a1 + a2) * at + m1 + m2 - m1 * m2) / (c1 * c2)
    if not far.all():
        value[~far] = 1 - mode.law1.g(b1[~far] / kappa) * mode.law2.g(b2[~far] / kappa) / kappa**2
    return value


def roots(mode: Mode) -> Complex:
    """All s with Re s > -min(rho_inf, 1/rho_inf) at which D vanishes, shape (n,), slowest first.

    Raises:
        RunError: those found are not as many as the argument principle counts.
    """
    wanted = count(mode)
    found: Complex = np.empty(0, np.complex128)
    for density in (6, 12, 24):
        if len(found) < wanted:
            found = _distinct(_secant(mode, np.concatenate([found, _starts(mode, density)])))
    if len(found) != wanted:
        raise RunError(
            f"the dispersion relation at kappa = {mode.kappa:.6g}, rho_inf = {mode.rho_inf:.6g} has {wanted} roots by "
            f"the argument principle, and {len(found)} were found: this gap cannot be trusted and is not reported"
        )
    found = np.where(np.abs(found.imag) <= REAL * np.abs(found), found.real, found)
    return found[np.argsort(-found.real, kind="stable")]


def count(mode: Mode) -> int:
    """Number of roots with multiplicity: how often D winds about 0 along the edge of the essential spectrum.

    Raises:
        RunError: D vanishes on the edge itself, so that the argument cannot be followed.
    """
    for beside in (BESIDE, 3 * BESIDE, 10 * BESIDE):
        if (turns := _turns(mode, -min(mode.losses) * (1 - beside))) is not None:
            return turns
    raise RunError(
        f"at kappa = {mode.kappa:.9g}, rho_inf = {mode.rho_inf:.6g} an eigenvalue enters the essential spectrum: "
        "change epsilon a little"
    )


def _turns(mode: Mode, edge: float) -> int | None:
    """Turns of D about 0 while s goes down the line Re s = edge, or None where D vanishes on it."""
    y = _edge_points(mode)
    value = dispersion(mode, np.asarray(edge + 1j * y, np.complex128))
    for _ in range(40):
        if not value.all():
            return None
        steps = np.angle(value[1:] / value[:-1])
        wide = np.flatnonzero(np.abs(steps) > TURN)
        if not len(wide):
            return round(-(float(steps.sum()) + float(np.angle(value[0] / value[-1]))) / (2 * np.pi))
        middle = (y[wide] + y[wide + 1]) / 2
        y = np.insert(y, wide + 1, middle)
        value = np.insert(value, wide + 1, dispersion(mode, np.asarray(edge + 1j * middle, np.complex128)))
    return None


def _humps(mode: Mode) -> Array:
    return np.concatenate([mode.law1.humps(), mode.law2.humps()])


def _edge_points(mode: Mode) -> Array:
    """Imaginary parts along the edge, dense where i kappa u is, out to where |D - 1| is small."""
    a1, a2 = mode.losses
    offsets = np.geomspace(1e-3, 1e5, 160)
    offsets = np.concatenate([-offsets[::-1], [0.0], offsets])
    parts = [mode.kappa * (-centre + width * offsets) for centre, width in _humps(mode)]
    parts.append((a1 + a2) * offsets)
    return np.unique(np.concatenate(parts))


def _starts(mode: Mode, density: int) -> Complex:
    """Where to start from: the diffusive branch, a net in the box that the roots can be in."""
    low, a1, a2 = min(mode.losses), *mode.losses
    diffusive = -(mode.kappa**2) * (mode.law1.moment(2) / a1**2 + mode.law2.moment(2) / a2**2) / (a1 + a2)
    real = -low * (1 - np.geomspace(1e-6, 1, 2 * density))
    humps = _humps(mode)
    reach = mode.kappa * float((np.abs(humps[:, 0]) + 3 * humps[:, 1]).max()) + a1 + a2
    imaginary = np.concatenate([reach * np.geomspace(1e-3, 1, density), mode.kappa * np.abs(humps[:, 0])])
    imaginary = np.concatenate([-imaginary, [0.0], imaginary])
    net = (-low * np.linspace(0.02, 0.98, density))[:, None] + 1j * imaginary
    return np.concatenate([[max(diffusive, -0.999 * low)], real, net.ravel()]).astype(np.complex128)


def _secant(mode: Mode, starts: Complex) -> Complex:
    """Where the secant method from each start comes to rest with Re s > -min(a_1, a_2)."""
    edge = -min(mode.losses)
    before, here = starts * (1 + 1e-4) - 1e-12, starts.copy()
    inside = before.real > edge * (1 - BESIDE)
    before, here = before[inside], here[inside]
    value_before, value = dispersion(mode, before), dispersion(mode, here)
    for _ in range(80):
        slope = value - value_before
        moving = (np.abs(slope) > 0) & (value != 0)
        step = np.where(moving, value * (here - before) / np.where(moving, slope, 1), 0)
        nearest = edge + CLOSER * (here.real - edge)  # as near to the edge as one step may come
        before, value_before, here = here, value, here - step
        here = np.where(here.real < nearest, nearest + 1j * here.imag, here)
        kept = (here.real > edge * (1 - BESIDE)) & (here.real < -2 * edge) & np.isfinite(here)
        before, value_before, here, step = before[kept], value_before[kept], here[kept], step[kept]
        if not len(here):
            return here
        value = dispersion(mode, here)
        if (np.abs(step) <= 1e-15 * np.abs(here)).all():
            break
    return np.asarray(here[np.abs(here - before) <= 1e-12 * np.abs(here)], np.complex128)


def _distinct(found: Complex) -> Complex:
    """Each root once."""
    kept: list[complex] = []
    for root in found[np.argsort(-found.real, kind="stable")]:
        if all(abs(root - other) > SAME * abs(root) for other in kept):
            kept.append(complex(root))
    return np.array(kept, np.complex128)

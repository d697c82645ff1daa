"""Time steps u' = F(t, u) of high order: extrapolated linearly implicit Euler steps with constant coefficients.

L is an operator with constant coefficients, which Fourier series invert. Stability depends on it, the order does not.
Row n of the tableau makes n steps of length h = H/n, u <- u + h (1 - h L)^-1 F(t, u). Their error has an expansion in
powers of h, and the Aitken-Neville scheme takes one power away with every column. See Deuflhard, "Recent progress in
extrapolation methods for ordinary differential equations", SIAM Review 27 (1985) 505-535, also for the choice of order
and step.

For u' = -a u and L = -b, steps of all lengths are stable with every number of rows up to `ROWS` if a/b <= `EXCESS`.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from kinlim.errors import RunError
from kinlim.fem.collocation import Collocation, Waves

Array = NDArray[np.float64]

ROWS = 12
"""Most rows of the tableau, and so the highest order."""

EXCESS = 1.15
"""How much more than L may be damped. At 1.19 the growth factor of 12 rows passes 1."""

SAFETY, SHORTEN, LENGTHEN = 0.25, 0.1, 4.0
"""What is kept of the error allowed, and bounds of the change from a step's length to the next."""

MOST_REJECTED = 60
"""Steps in a row that may fail."""

COSTS = np.cumsum(np.arange(ROWS)) + 1
"""Evaluations of F up to each row."""


class Extrapolation:
    """Steps with control of order and length.

    Attributes:
        evaluations: of F, until now.
        steps: until now.
        rejected: steps that had to be made shorter.
    """

    def __init__(
        self,
        points: Collocation,
        rate: Callable[[float, Array], Array],
        linear: Callable[[float, Array], Waves],
        allowed: Array,
        reached: Callable[[float], None] = lambda t: None,
    ) -> None:
        """Nothing is computed yet.

        Args:
            points: where u is known, shape (unknowns, N, ..., N).
            rate: F.
            linear: what L multiplies `points.waves` with, near a time and a state.
            allowed: largest error of a step, shape (unknowns,).
            reached: is told the time after every step.
        """
        self.points, self.rate, self.linear, self.reached = points, rate, linear, reached
        self.allowed = allowed.reshape(-1, *[1] * points.dimension)
        self.length = np.inf
        self.evaluations = self.steps = self.rejected = 0

    def advance(self, t: float, u: Array, until: float) -> Array:
        """The solution at a later time.

        Raises:
            RunError: steps failed, however short they were.
        """
        symbol, failed = self.linear(t, u), 0
        while t < until:
            count = np.ceil((until - t) / self.length * (1 - 1e-9)) if self.length < until - t else 1.0
            h = (until - t) / count
            found, factor = self._step(t, u, h, symbol)
            self.length = h * factor
            if found is None:
                failed += 1
                self.rejected += 1
                if failed > MOST_REJECTED or t + h == t:
                    raise RunError(f"the referee's time steps failed after t = {t:.6g}, the last of length {h:.3g}")
                symbol = self.linear(t, u)  # it may have been unstable
                continue
            u, failed = found, 0
            t = until if count == 1 else t + h
            self.steps += 1
            self.reached(t)
        return u

    def rows(self, t: float, u: Array, h: float, symbol: Waves) -> Iterator[list[Array]]:
        """The tableau of a step, row by row; the last entry of a row is its best."""
        first = self.points.waves(self.rate(t, u))
        self.evaluations += 1
        row: list[Array] = []
        for n in range(1, ROWS + 1):
            before, row = row, [self._euler(t, u, h / n, n, first, symbol)]
            for k, rougher in enumerate(before, 1):
                row.append(row[-1] + (row[-1] - rougher) / (n / (n - k) - 1))
            yield row

    def _step(self, t: float, u: Array, h: float, symbol: Waves) -> tuple[Array | None, float]:
        """The solution after a step, None if its error is too large; and how much longer the next one should be."""
        lengths, error, n = np.zeros(ROWS), np.inf, 0  # lengths that each row would allow, over h
        for n, row in enumerate(self.rows(t, u, h, symbol), 1):
            if n < 3:
                continue
            last, error = error, float((np.abs(row[-1] - row[-2]) / self.allowed).max())
            if not np.isfinite(error):
                return None, SHORTEN
            lengths[n - 1] = (SAFETY / max(error, 1e-30)) ** (1 / n)
            if error <= 1:
                best = int(np.argmax(lengths[:n] / COSTS[:n]))
                factor = lengths[best]
                if best == n - 1 < ROWS - 1:  # one row more may be better still
                    factor *= COSTS[best + 1] / COSTS[best]
                return row[-1], float(np.clip(factor, SHORTEN, LENGTHEN))
            if n > 3 and error * (error / last) ** (ROWS - n) > 1:  # it will not be enough
                break
        return None, float(np.clip(lengths[n - 1], SHORTEN, 0.5))

    def _euler(self, t: float, u: Array, h: float, n: int, first: Waves, symbol: Waves) -> Array:
        """After n steps of the length h."""
        inverse = h / (1 - h * symbol)
        u = u + self.points.values(inverse * first)
        for k in range(1, n):
            u += self.points.values(inverse * self.points.waves(self.rate(t + k * h, u)))
        self.evaluations += n - 1
        return u

"""What a run says of the statements of Neumann and Schmeiser."""

from collections.abc import Mapping
from typing import Any

from kinlim.statements import Statement
from kinlim.validation.reaction.compactness import PRINTED
from kinlim.validation.report import number

PAPER = "Neumann, Schmeiser"

ROUNDING = 1e-9
"""Relative change of what is conserved exactly."""

NEAR = 1e-3
"""Part of the entropy, or of the invariant region, that the discretisation may miss (docs/reaction-kinetic.md)."""

PRINTED_CONSTANT = 5
"""Of (35)."""


def statements(numbers: Mapping[str, Any]) -> list[Statement]:
    """Of conservation, entropy, the invariant region, Theorem 2.1 and the limit."""
    limit, kinetic, decay = numbers["limit"], numbers["kinetic"], numbers["decay"]
    found = [
        Statement(
            f"{PAPER} limit equation",
            "maximum principle of m_t = div(D(m) grad m)",
            "holds" if limit["overshoot"] < NEAR else "fails",
            f"m leaves its range at time 0 by {number(limit['overshoot'], 2)} of its width; mass changes by "
            f"{number(limit['mass_drift'], 1)}",
        )
    ]
    if kinetic is None:
        return found
    balance = kinetic["entropy_balance"]
    found += [
        Statement(
            f"{PAPER} (9)",
            "the mass difference is conserved",
            "holds" if kinetic["mass_drift"] < ROUNDING else "fails",
            f"it changes by {number(kinetic['mass_drift'], 1)}",
        ),
        Statement(
            f"{PAPER} Theorem 1.1",
            "f/chi_1 and chi_2/g stay in the region of the data",
            "holds" if kinetic["outside"] < NEAR else "fails",
            f"[{number(kinetic['lowest'], 5)}, {number(kinetic['highest'], 5)}] in [{number(kinetic['region_lo'], 5)}, "
            f"{number(kinetic['region_hi'], 5)}], outside by {number(kinetic['outside'], 1)} of its width",
        ),
        Statement(
            f"{PAPER} (5)-(6)",
            "entropy falls by its dissipation",
            "not decided" if balance is None else "holds" if balance < NEAR and kinetic["entropy_falls"] else "fails",
            "entropy is not known everywhere" if balance is None else f"they differ by {number(balance, 1)} of it",
        ),
    ]
    theorem, gap = decay["overall"].get("theorem"), decay["overall"]["gap"]
    if theorem is not None:
        found.append(
            Statement(
                f"{PAPER} Theorem 2.1",
                "the linearised system decays at the proved rate at least",
                "holds" if theorem["rate"] <= gap else "fails",
                f"proved {number(theorem['rate'])} with the best constants, true {number(gap, 5)}",
            )
        )
    first, edge = decay["first"], decay["critical_epsilon"]
    if edge is not None:
        found.append(
            Statement(
                f"{PAPER} (7)",
                f"wave number 1 along {decay['axis']} has an eigenvalue up to epsilon = sqrt(pi p(0) G(zeta))/(2 pi) "
                "(ours)",
                "holds" if (decay["epsilon"] < edge) == first["discrete"] else "fails",
                f"that is {number(edge, 5)}; beyond it the essential spectrum decides. Here epsilon = "
                f"{decay['epsilon']:g}",
            )
        )
    averaging, constant = decay["averaging"], decay["interpolation"]
    found += [
        Statement(
            f"{PAPER} Lemma 3.2",
            "rho_f is bounded in L2(H^s) with s = theta/(2 + theta) = 1/3",
            "holds with a correction" if averaging["exponent"] > PRINTED else "fails",
            f"the best s is 1/2: short waves have {number(averaging['exponent'], 4)}, and |xi|^(1/2) |rho_f| <= "
            f"{number(averaging['constant'], 4)} (|f|^2 + |h|^2)^(1/2)",
        ),
        Statement(
            f"{PAPER} Lemma 3.4",
            "(35) holds with the constant 5, for gamma = 1/3",
            "holds" if constant <= PRINTED_CONSTANT else "fails",
            f"the best constant is {number(constant, 4)}",
        ),
    ]
    last = numbers["times"][-1]
    found.append(
        Statement(
            f"{PAPER} Theorem 3.3",
            "the kinetic system goes to the limit equation as epsilon goes to 0 (proved for subsequences, without a "
            "rate; the expansion of Section 1.3 is formal)",
            "not decided",
            f"they are {number(last['gap_m'])} apart at t = {last['time']:g} for this epsilon; `kinlim sweep --over "
            "model.epsilon=...` measures the order",
        )
    )
    return found

"""What a run says of the statements of Bonetto et al."""

from collections.abc import Mapping
from math import sqrt
from typing import Any

import xarray as xr

from kinlim.statements import Statement
from kinlim.validation.report import number

PAPER = "Bonetto et al."

ROUNDING = 1e-9
"""Of exact numbers, relative."""


def lemmas(exact: xr.Dataset) -> dict[str, Any]:
    """What the lemmas bound, and what it comes to in the sectors: entries of metrics.json."""
    low, high = (float(exact["lemma2"][:, k].min() if k == 0 else exact["lemma2"][:, k].max()) for k in range(2))
    return {
        "lemma1": float(exact["lemma1"].max()),
        "lemma2": [low, high],
        "lemma2_mended": float(exact["lemma2_mended"].max()),
        "lemma3": float(exact["lemma3"].max()),
        "decay": float(exact["decay"].min()),
    }


def statements(numbers: Mapping[str, Any]) -> list[Statement]:
    """Of the theorem and its three lemmas, and of the two orders that the abstract names."""
    found, lemma = numbers["theorem"], numbers["lemmas"]
    M, N, C, least = found["system"], found["reservoir"], found["C"], found["bound_over_distance_least"]
    of = f"M = {M}, N = {N}"
    low, high = lemma["lemma2"]
    stated = [
        Statement(
            f"{PAPER} Lemma 1",
            "||R[h] - 1|| <= C ||h - 1||",
            "holds" if C is None or lemma["lemma1"] <= C * (1 + ROUNDING) else "fails",
            f"largest ratio {number(lemma['lemma1'], 4)} up to degree {found['highest_degree']}, C = "
            f"{number(C, 4)} ({of})",
        ),
        Statement(
            f"{PAPER} Lemma 2",
            "the identity as printed, with R^2 = R",
            "holds" if max(abs(low - 1), abs(high - 1)) < ROUNDING else "holds with a correction",
            f"left over right side is {number(low)} to {number(high)}; with ||R_ij u||^2 for <u, T_i u> it is an "
            f"identity to {number(lemma['lemma2_mended'], 1)}",
        ),
        Statement(
            f"{PAPER} Lemma 3",
            "<u, T_1 u> <= 2/3 ||u||^2 for u of mean 0",
            "holds" if lemma["lemma3"] <= 2 / 3 + ROUNDING else "holds with a correction",
            f"largest value {number(lemma['lemma3'], 4)} for M = {M}, where 1 - 1/(3M) = {number(1 - 1 / (3 * M), 4)}; "
            "what the theorem needs, <u, sum (I - T_i) u> >= 1/3 ||u||^2, holds: the least is "
            f"{number(lemma['decay'], 4)}",
        ),
        Statement(
            f"{PAPER} abstract",
            "in the long run the joint laws are of order M/N apart",
            "fails" if found["plateau_worst"] > 2 * M / N else "not decided",
            f"the worst h_0 keeps sqrt(M/(M + N)) = {number(sqrt(M / (M + N)))}, this one {number(found['plateau'])}; "
            f"M/N = {number(M / N)} ({of})",
        ),
        Statement(
            f"{PAPER} abstract",
            "the same for the law of the system alone",
            "holds" if found["plateau_marginal"] <= M / N * (1 + ROUNDING) else "fails",
            f"{number(found['plateau_marginal'])} against M/N = {number(M / N)} ({of}); of the limit that is proved, "
            "of all times it is measured",
        ),
    ]
    if least is not None:
        stated.append(
            Statement(
                f"{PAPER} theorem",
                "the bound of ||h_t - h~_t||",
                "holds" if least >= 1 - ROUNDING else "fails",
                f"bound over distance is at least {number(least)} at the times of the page ({of})",
            )
        )
    return stated

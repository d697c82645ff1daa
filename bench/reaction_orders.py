"""Orders in epsilon of the kinetic system's distance from its limit, for several kinds of data and of profiles.

The first table solves the nonlinear system: ||rho_f - rho_g - m|| at the last time, from m(0) and from the corrected
datum, ||rho_f rho_g - 1|| at the last time, and the two norms of Lemma 3.1 over all times, for epsilon = 2^-5 ... 2^-9,
with the orders from one epsilon to the next. The second is exact: how far the rate of wave number 1 of the linearised
system is from that of the limit, for power laws with heavy tails.

    python bench/reaction_orders.py [--quick]
"""

import argparse
from itertools import pairwise
from math import log2
from typing import Any

from kinlim import api
from kinlim.models.reaction.profile import PowerProfile
from kinlim.study import check
from kinlim.validation.reaction.linearised import Linearised
from kinlim.validation.reaction.scaling import measured
from kinlim.validation.reaction.spectrum import gap

GAUSSIANS = {
    "chi1": {"family": "gaussian", "covariance": 1.0},
    "chi2": {"family": "gaussian", "covariance": 0.5},
}
SKEW = {"family": "mixture", "weights": [0.25, 0.75], "means": [1.5, -0.5], "covariances": [0.5, 0.5]}
RHO = "1.4 + 0.4*cos(2*pi*x)"

CASES: dict[str, dict[str, Any]] = {
    "local equilibrium": GAUSSIANS | {"f0": RHO, "g0": f"1/({RHO})"},
    "out of chemical equilibrium": GAUSSIANS | {"f0": RHO, "g0": "0.9 - 0.3*sin(4*pi*x)"},
    "with a part that is odd in v": GAUSSIANS
    | {"f0": f"({RHO})*(1 + 0.4*tanh(vx)*sin(2*pi*x))", "g0": "0.9 - 0.3*sin(4*pi*x)*(1 + 0.5*tanh(vx))"},
    "local equilibrium, skew chi1": GAUSSIANS | {"chi1": SKEW, "f0": RHO, "g0": f"1/({RHO})"},
}
QUANTITIES = ("gap_m", "gap_corrected", "gap_product", "local_equilibrium", "perp")
TAILS = (1.75, 2.0, 2.25, 2.5, 3.0, 4.0)


def study(physics: dict[str, Any], epsilon: float) -> Any:
    """A study whose meshes and tolerances are fine enough that nothing but epsilon shows."""
    return check(
        {
            "study": {"model": "reaction", "name": "orders"},
            "model": physics | {"epsilon": epsilon, "end_time": 0.05, "observe": [0.0, 0.1, 0.5, 1.0]},
            "particles": {"replicas": 2, "bias": 0.5},
            "kinetic": {"modes": 32, "cells": 24, "degree": 6, "rtol": 1e-8},
            "pde": {"cells": 48, "degree": 4, "rtol": 1e-9},
        }
    )


def nonlinear(exponents: range) -> None:
    """Print the first table."""
    for name, physics in CASES.items():
        print(f"\n{name}")
        print(f"{'epsilon':>10}" + "".join(f"{quantity:>26}" for quantity in QUANTITIES))
        before: dict[str, float] = {}
        for j in exponents:
            here = study(physics, 2.0**-j)
            sides = ("pde", "kinetic", *(["corrected"] if here.model.has_flux else []))
            found = measured({side: api.solve(here, side) for side in sides})
            values = {quantity: found[quantity].value for quantity in QUANTITIES if quantity in found}
            print(f"{'2^-' + str(j):>10}", end="")
            for quantity in QUANTITIES:
                order = f"{log2(before[quantity] / values[quantity]):6.3f}" if quantity in before else ""
                print(f"{values[quantity]:>16.4e} {order:>9}" if quantity in values else " " * 26, end="")
            print(flush=True)
            before = values


def tails(exponents: range) -> None:
    """Print the second table."""
    print("\nrate of the limit minus exact rate, k = 1, rho_inf = 1.3, chi1 = chi2 = c (1 + v^2)^(-k): local orders")
    print(f"{'k':>6} {'2k - 3':>7}" + "".join(f"{'2^-' + str(j):>9}" for j in exponents[1:]))
    for k in TAILS:
        chi = PowerProfile(family="power", k=k)
        systems = [Linearised(1.3, 2.0**-j, chi, chi) for j in exponents]
        off = [system.diffusion_rate((1,)) - gap(system, (1,)).rate for system in systems]
        print(f"{k:6.2f} {2 * k - 3:7.2f}" + "".join(f"{log2(a / b):9.3f}" for a, b in pairwise(off)))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer values of epsilon")
    quick = parser.parse_args().quick
    nonlinear(range(6, 8) if quick else range(5, 10))
    tails(range(6, 10) if quick else range(6, 14))


if __name__ == "__main__":
    main()

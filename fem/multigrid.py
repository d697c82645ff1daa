"""GMRES for parabolic equations in dimension 2 and 3, with algebraic multigrid: hypre's, or PETSc's own."""

from typing import Any

from petsc4py import PETSc

HYPRE: dict[str, Any] = {
    "pc_type": "hypre",
    "pc_hypre_type": "boomeramg",
    "pc_hypre_boomeramg_agg_nl": 1,
    "pc_hypre_boomeramg_coarsen_type": "HMIS",
    "pc_hypre_boomeramg_interp_type": "ext+i",
    "pc_hypre_boomeramg_P_max": 4,
    "pc_hypre_boomeramg_strong_threshold": 0.5,
}
"""Multigrid in dimension 2 and 3, where PETSc has hypre; on each level, sweeps of a smoother as many as the degree."""

GAMG: dict[str, Any] = {
    "pc_type": "gamg",
    "pc_gamg_agg_nsmooths": 0,
    "pc_gamg_aggressive_coarsening": 0,
    "pc_gamg_reuse_interpolation": "true",
    "mg_levels_ksp_type": "richardson",
    "mg_levels_ksp_max_it": 1,
    "mg_levels_pc_type": "bjacobi",
}
"""PETSc's own multigrid elsewhere: plain aggregation, once for all steps, and ILU(0) as smoother.

Smoothed aggregation takes three times as many iterations for P2 in the plane.
"""

CYCLE = {2: "w", 3: "v"}
"""Of PETSc's own multigrid, by dimension: the W-cycle takes fewer iterations on fine meshes of the plane."""

DIAGONAL: dict[str, Any] = {"ksp_type": "gmres", "pc_type": "jacobi"}
"""The diagonal alone: its iterations grow like the number of nodes along an axis, but cost next to nothing."""

LINEAR = 1e-2
"""Relative residual of linear solvers over rtol."""


def multigrid(dimension: int, degree: int, rtol: float) -> dict[str, Any]:
    """PETSc options for continuous elements of a degree, and an error of `rtol` allowed per time step.

    Matrices need not be symmetric. Short steps leave little more than the mass, whose condition rises with the degree:
    hypre's smoother sweeps as often.
    """
    if PETSc.Sys.hasExternalPackage("hypre"):
        kind = HYPRE | {"pc_hypre_boomeramg_grid_sweeps_all": degree}
    else:
        kind = GAMG | {"pc_mg_cycle_type": CYCLE[dimension]}
    return kind | {"ksp_type": "gmres", "ksp_rtol": LINEAR * rtol}

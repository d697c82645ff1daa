"""Limit equations: weak forms in UFL, time integration by PETSc TS, evaluation and balances."""

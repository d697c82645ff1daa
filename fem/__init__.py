"""Limit equations: weak forms in UFL, time integration by PETSc TS, evaluation and balances.

To import it starts PETSc, which all ranks do together.
"""

from kinlim import caches, compat

compat.start_petsc()
compat.ignore_option_files()
caches.guard_forms()

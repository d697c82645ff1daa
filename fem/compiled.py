"""Forms, compiled by FFCx and the C compiler the first time that they are met, and kept by DOLFINx for the next."""

import ufl
from dolfinx import fem

from kinlim import caches
from kinlim.errors import RunError
from kinlim.progress import compiling

FAILED = "JIT compilation"
"""In what DOLFINx says on all ranks when rank 0 has not been able to compile; only there it says why."""


def compiled(form: ufl.Form) -> fem.Form:
    """The form as DOLFINx assembles it. Collective; progress messages know that it is being compiled.

    Raises:
        InputError: compiled forms cannot be kept.
        RunError: the compiler, or the loader, failed on rank 0 of several.
    """
    caches.refused.clear()
    try:
        with compiling:
            return fem.form(form)
    except RuntimeError as error:
        if FAILED not in str(error):
            raise
        why = caches.refused[0] if caches.refused else RunError(" ".join(str(error).split()))
        raise form.ufl_domain().ufl_cargo().comm.bcast(why) from None

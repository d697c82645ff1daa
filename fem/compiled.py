"""Forms, compiled by FFCx and the C compiler the first time that they are met, and kept by DOLFINx for the next."""

import ufl
from dolfinx import fem

from kinlim.progress import compiling


def compiled(form: ufl.Form) -> fem.Form:
    """The form as DOLFINx assembles it. Collective; progress messages know that it is being compiled."""
    with compiling:
        return fem.form(form)

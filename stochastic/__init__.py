"""Particle systems: kernels, random streams, ensembles and streamed statistics."""

from typing import Any

from numba.core import event

from kinlim import caches
from kinlim.progress import compiling


class _Compiled(event.Listener):  # type: ignore[misc] # numba has no types
    """Hears of kernels that numba compiles; of those that it finds in its cache it says nothing."""

    def on_start(self, event: Any) -> None:
        compiling.__enter__()

    def on_end(self, event: Any) -> None:
        compiling.__exit__(None, None, None)


event.register("numba:compile", _Compiled())
caches.guard_kernels()

"""The one loop that carries a solution through its observation times: meter, signals, checkpoints, landing."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kinlim.checkpoint import State
from kinlim.fem.landing import Landing
from kinlim.keeper import Keeper
from kinlim.progress import Meter

FORGET = 100
"""Steps after which a scheme with a memory forgets, so that a run can go on from there bit by bit."""


def integrate(
    stepper: Landing,
    moments: NDArray[np.float64],
    keeper: Keeper,
    *,
    label: str,
    end: float,
    after_step: Callable[[], None],
    observe: Callable[[], None],
    state: Callable[[], State],
    forget: bool = True,
) -> None:
    """Integrate from where a stepper is through its observation times. Collective.

    Args:
        stepper: what steps.
        moments: the times, increasing, none before the stepper's; it lands on each exactly.
        keeper: of the stage.
        label: names the stage in progress messages.
        end: the last time of all, for these messages.
        after_step: called after every step.
        observe: called at every observation time.
        state: gives what `keeper` is to keep. Collective.
        forget: whether schemes with a memory forget it every `FORGET` steps, and are kept as they were then.

    Raises:
        RunError: see `Landing.advance`.
        Stopped: a signal came, and the state has been kept.
    """
    forget = forget and stepper.remembers
    steps, kept = 0, state() if forget else None

    with keeper, Meter(label, keeper.comm.rank == 0, begun=stepper.time / end if end else 0.0) as meter:

        def pause() -> bool:
            nonlocal steps, kept
            after_step()
            steps += 1
            if forget and steps % FORGET == 0:
                stepper.forget()
                kept = state()
            meter(stepper.time / end)
            return keeper.due()

        for moment in moments:
            while not stepper.advance(moment, pause):
                keeper.keep(kept or state(), f" at t = {stepper.time:.6g} of {end:.6g}")
            observe()

"""Steps through time that land: the frame of all time integration, whatever makes a step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self


class Landing(ABC):
    """A solution that is carried from one time to the next in steps of a size that its error control finds.

    Its state is (`time`, `next_step`, solution): schemes without a memory go on from it bit by bit, wherever it was
    kept. Those that have one (`remembers`) do where they were made to forget (`forget`).

    Attributes:
        time: the time reached.
        next_step: size of the step that the error control would take from here.
        clock: stands for t in the forms, if they depend on it.
        assembling: seconds that assembly took.
        solving: seconds in linear solvers.
    """

    time: float
    next_step: float
    clock: Any = None
    assembling = 0.0
    solving = 0.0

    def advance(self, until: float, after_step: Callable[[], bool] | None = None) -> bool:
        """Integrate to the time `until` and land on it exactly. Collective.

        Args:
            until: the new time, not before the present one.
            after_step: called after every step, with the solution and `time` up to date. Where it returns True (on all
                ranks) the integration pauses; it goes on where `advance` is called again.

        Returns:
            Whether `until` is reached.

        Raises:
            RunError: no step leads on; why, the time and the step size are named.
        """
        while self.time < until:
            before = self.time
            self._step(until)
            self.take()
            if self.time > before and after_step is not None and after_step():
                break
        return self.time >= until

    def length(self, until: float) -> float:
        """Length of a step that is to be followed by others, if at all, until they land."""
        left = until - self.time
        if self.next_step > left * (1 - 1e-9):
            return left
        return left / 2 if self.next_step > left / 2 else self.next_step  # two equal steps, not one and a sliver

    def stepped(self, step: float, reached: float, proposed: float, until: float) -> None:
        """Note a step.

        Args:
            step: its length as `length` gave it.
            reached: the time that it led to.
            proposed: length of the next one, as the error control finds it.
            until: where it is to land.
        """
        rejected = reached - self.time < step * (1 - 1e-12)
        # A step cut in order to land says nothing against the size that the error control had in mind.
        self.next_step = proposed if rejected else max(proposed, self.next_step * (step < self.next_step))
        self.time = until if not rejected and step == until - self.time else reached

    def rehearse(self) -> None:  # noqa: B027 - not all take options
        """Refuse options that a step has no use for, if need be by making one: of a stepper made for this. Collective.

        Raises:
            InputError: one of them is unknown.
            RunError: no step leads on.
        """

    @property
    @abstractmethod
    def remembers(self) -> bool:
        """Whether a step depends on more than the state: on solutions or slopes of steps before."""

    @abstractmethod
    def forget(self) -> None:
        """Have the next step depend on the state alone, as the first one does. Collective."""

    @abstractmethod
    def take(self) -> None:
        """Called when the solution has changed, before `after_step`: for copies of it elsewhere. Collective."""

    @abstractmethod
    def largest(self) -> float:
        """Largest absolute value of the solution. Collective."""

    @abstractmethod
    def statistics(self) -> dict[str, int]:
        """Counts since the beginning."""

    @abstractmethod
    def preconditioner(self) -> str:
        """The one that was used, as PETSc calls it; or what takes the place of linear solves."""

    @property
    @abstractmethod
    def options(self) -> str:
        """PETSc's options as the user has given them after --, for the record."""

    @property
    @abstractmethod
    def chosen(self) -> str:
        """PETSc's options that kinlim has set beside them, written alike."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Degrees of freedom, on all ranks together."""

    def about(self) -> dict[str, str | int]:
        """Attributes of the dataset: how large its systems are, and what has solved them."""
        return {
            "degrees_of_freedom": self.size,
            "preconditioner": self.preconditioner(),
            "petsc_options": self.options,
            "petsc_options_chosen": self.chosen,
        }

    @abstractmethod
    def _step(self, until: float) -> None:
        """Make one step towards a time, or a shorter one possible. Collective."""

    def __enter__(self) -> Self:
        """Nothing to do: the objects exist."""
        return self

    def __exit__(  # noqa: B027 - not all have something to destroy
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Destroy what must be."""

"""The ways a command can end early, each with its exit code."""


class InputError(Exception):
    """Something the user gave cannot be used: one paragraph naming file, key and value (exit code 2)."""

    exit_code = 2


class RunError(Exception):
    """A computation could not be finished: one paragraph with the reason and the likely remedy (exit code 1)."""

    exit_code = 1


class Stopped(BaseException):
    """A signal asked for the end; what is done is kept, --resume goes on from it (exit code 75).

    No Exception, like Python's KeyboardInterrupt: what is ready for a failure must not take it for one.
    """

    exit_code = 75

"""Every error Pocketfit raises on purpose.

    PocketfitError                  exit code 1
    ├── InputError                  exit code 2: something handed over is not usable
    │   ├── ModelError              the model cannot be imported, built or exported
    │   ├── WeightsError            a weights file is missing, corrupt, unsafe or does not fit the model
    │   ├── DataError               the data is missing, unreadable or not what the model needs
    │   ├── OptionError             a command-line value that is not allowed
    │   └── OutputError             the output cannot be written: permission, full disk, a foreign folder
    ├── RuntimeMissing              exit code 2: a runtime's packages are not installed, or it does not run here
    ├── ConversionError             one runtime could not take one variant; a row in the table, never the end of a run
    ├── IsolationError              a child process crashed, hung or ran out of memory
    ├── BudgetMissed                exit code 3: the run is complete, nothing fits the budget
    └── VerificationFailed          exit code 4: a bundle does not give the answers it promises

Each message says what was got, what is allowed and what to do.
"""

from __future__ import annotations

__all__ = [
    "BudgetMissed",
    "ConversionError",
    "DataError",
    "InputError",
    "IsolationError",
    "ModelError",
    "OptionError",
    "OutputError",
    "PocketfitError",
    "RuntimeMissing",
    "VerificationFailed",
    "WeightsError",
]


class PocketfitError(Exception):
    """Base of every deliberate error; `exit_code` is what the command line returns for it."""

    exit_code = 1


class InputError(PocketfitError):
    """Something handed over by the user is not usable."""

    exit_code = 2


class ModelError(InputError):
    """The model cannot be imported, built or exported."""


class WeightsError(InputError):
    """A weights file is missing, corrupt, unsafe to read, or does not fit the model."""


class DataError(InputError):
    """The data is missing, unreadable, or not what the model needs."""


class OptionError(InputError):
    """A command-line value that is not allowed."""


class OutputError(InputError):
    """The output cannot be written."""


class RuntimeMissing(PocketfitError):
    """A runtime's packages are not installed, or it does not run on this operating system."""

    exit_code = 2


class ConversionError(PocketfitError):
    """A runtime could not take a variant.

    Args:
        runtime: name of the runtime.
        message: what happened, with the op where it is known.
        hint: what the user can do about it.
    """

    def __init__(self, runtime: str, message: str, hint: str = "") -> None:
        self.runtime = runtime
        self.message = message
        self.hint = hint
        super().__init__(runtime, message, hint)

    def __str__(self) -> str:
        return f"{self.runtime}: {self.message}" + (f"\n{self.hint}" if self.hint else "")


class IsolationError(PocketfitError):
    """A child process crashed, hung or ran out of memory."""


class BudgetMissed(PocketfitError):
    """The run is complete, but no artifact fits the budget."""

    exit_code = 3


class VerificationFailed(PocketfitError):
    """A bundle does not give the answers it promises."""

    exit_code = 4

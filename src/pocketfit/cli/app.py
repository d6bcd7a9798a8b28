"""The `pocketfit` command: its verbs, and what an error looks like to the person at the terminal.

Exit codes: 0 done, 1 unexpected, 2 something handed over is not usable, 3 nothing fits the budget, 4 a bundle does not
keep its promise, 130 interrupted. Nothing here or at the top of a verb's file may import torch or a runtime.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from pocketfit.cli.app_code import app as app_code
from pocketfit.cli.bundle import bundle
from pocketfit.cli.check_preprocess import check_preprocess
from pocketfit.cli.demo import demo
from pocketfit.cli.devices import devices
from pocketfit.cli.diagnose import diagnose
from pocketfit.cli.distill import distill
from pocketfit.cli.doctor import doctor
from pocketfit.cli.fit import fit
from pocketfit.cli.inspect import inspect
from pocketfit.cli.measure import measure
from pocketfit.cli.nas import nas
from pocketfit.cli.opencl import opencl
from pocketfit.cli.optimize import optimize
from pocketfit.cli.policy import policy
from pocketfit.cli.predict import predict
from pocketfit.cli.preflight import preflight
from pocketfit.cli.prune import prune
from pocketfit.cli.python_version import refusal
from pocketfit.cli.quantize import quantize
from pocketfit.cli.runtimes import runtimes
from pocketfit.cli.slim import slim
from pocketfit.cli.sustain import sustain
from pocketfit.cli.tile import tile
from pocketfit.cli.verify import verify
from pocketfit.cli.zoo import zoo
from pocketfit.errors import PocketfitError

__all__ = ["DEBUG_VARIABLE", "VERBS", "app", "main", "run"]

# Every verb, in the order of `pocketfit --help`.
VERBS: tuple[Callable[..., Any], ...] = (
    fit,
    quantize,
    prune,
    slim,
    nas,
    distill,
    diagnose,
    demo,
    verify,
    check_preprocess,
    app_code,
    inspect,
    optimize,
    preflight,
    tile,
    zoo,
    predict,
    sustain,
    measure,
    runtimes,
    opencl,
    doctor,
)

DEBUG_VARIABLE = "POCKETFIT_DEBUG"
INTERRUPTED = 130

app = typer.Typer(
    name="pocketfit",
    help="Fit a trained neural network into a phone: one calibration, every mobile runtime, with proof.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # square brackets in help texts are pip extras, not markup
)


def _show_version(wanted: bool) -> None:
    if wanted:
        import pocketfit

        typer.echo(f"pocketfit {pocketfit.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[
        bool, typer.Option("--debug", help=f"Show the traceback of an error ({DEBUG_VARIABLE}=1).")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"  # the environment, so that child processes know as well


for _verb in VERBS:
    app.command()(_verb)
app.add_typer(devices, name="devices")
app.add_typer(policy)
app.add_typer(bundle)


def main() -> None:
    """Entry point of the `pocketfit` script."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore", FutureWarning)  # of libraries about each other; PYTHONWARNINGS shows them
    refused = refusal(sys.version_info[:2])
    raise SystemExit(_fail(refused, 2) if refused else run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        arguments: without the program's name; the process's own when None.

    Returns:
        The exit code.
    """
    try:
        app(arguments, prog_name="pocketfit")
    except SystemExit as exit_:
        return _exited(exit_)
    except PocketfitError as error:
        return _fail(str(error), error.exit_code)
    except Exception as error:
        return _fail(f"unexpected {type(error).__name__}: {error}\n{_what_to_do_about_a_bug()}", 1)
    return 0


def _exited(exit_: SystemExit) -> int:
    if exit_.code == INTERRUPTED:
        typer.echo("Interrupted. Stored stages are kept; run the same command again to continue.", err=True)
    return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)


def _fail(message: str, code: int) -> int:
    if _debugging() and sys.exc_info()[0] is not None:
        traceback.print_exc()
    typer.echo(f"pocketfit: {message}", err=True)
    return code


def _debugging() -> bool:
    return os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")


def _what_to_do_about_a_bug() -> str:
    if _debugging():
        return "Please report it with the traceback above."
    return f"This is a bug in Pocketfit. Run it again with {DEBUG_VARIABLE}=1 to see where, and please report that."

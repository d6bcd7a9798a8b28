import subprocess
import sys

import pytest
import typer

from pocketfit.cli import app as app_module
from pocketfit.cli.app import DEBUG_VARIABLE, VERBS, app, run
from pocketfit.cli.python_version import refusal
from pocketfit.errors import BudgetMissed, ConversionError, OptionError, PocketfitError, VerificationFailed


@pytest.fixture(autouse=True)
def _no_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEBUG_VARIABLE, "0")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Add the verb `break`, which raises what the test puts into this list."""
    errors: list[BaseException] = []
    other = typer.Typer(pretty_exceptions_enable=False)
    other.callback()(app_module._root)

    @other.command("break")
    def _break() -> None:
        raise errors[0]

    monkeypatch.setattr(app_module, "app", other)
    return errors


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(verb.__name__.replace("_", "-") in text for verb in VERBS)


def test_every_verb_has_help_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        assert run([verb.__name__.replace("_", "-"), "--help"]) == 0
        assert verb.__doc__ is not None
        assert verb.__doc__.split()[0] in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pocketfit 0.")


@pytest.mark.parametrize("arguments", [["nonsense"], ["inspect"], ["runtimes", "--colour"]])
def test_misuse_ends_with_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Usage: pocketfit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PocketfitError("what was got"), 1),
        (OptionError("what was got"), 2),
        (BudgetMissed("what was got"), 3),
        (VerificationFailed("what was got"), 4),
        (ConversionError("ncnn", "what was got", "what to do"), 1),
    ],
)
def test_a_deliberate_error_is_one_message_and_its_own_code(
    failing: list[BaseException], error: PocketfitError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(error)
    assert run(["break"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"pocketfit: {error}\n"


def test_an_unexpected_error_is_short_and_says_how_to_see_more(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(ZeroDivisionError("division by zero"))
    assert run(["break"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("pocketfit: unexpected ZeroDivisionError: division by zero\n")
    assert f"{DEBUG_VARIABLE}=1" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), OptionError("what was got")])
def test_debug_shows_the_traceback(
    failing: list[BaseException], error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(error)
    run(["--debug", "break"])
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_says_that_nothing_is_lost(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(KeyboardInterrupt())
    assert run(["break"]) == 130
    assert "run the same command again to continue" in capsys.readouterr().err


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_supported_pythons_are_not_refused(version: tuple[int, int]) -> None:
    assert refusal(version) == ""


@pytest.mark.parametrize("version", [(3, 8), (3, 10), (3, 14), (4, 0)])
def test_other_pythons_are_refused_clearly(version: tuple[int, int]) -> None:
    message = refusal(version)
    assert f"Python {version[0]}.{version[1]}" in message
    assert "3.11, 3.12 and 3.13" in message


def test_main_refuses_before_anything_else(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    with pytest.raises(SystemExit) as exit_:
        app_module.main()
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith("pocketfit: this is Python 3.14")


def test_the_app_is_the_one_that_is_installed() -> None:
    assert app.registered_commands
    done = subprocess.run(
        [sys.executable, "-c", "from pocketfit.cli.app import main; main()", "--version"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout[:10]) == (0, "pocketfit ")


@pytest.mark.parametrize(("options", "told"), [((), False), (("-W", "default"), True)])
def test_libraries_warn_of_their_future_only_where_it_is_asked_for(options: tuple[str, ...], told: bool) -> None:
    script = """
import warnings
from pocketfit.cli import app
app.run = lambda: warnings.warn("will change", FutureWarning) or 0
app.main()
"""
    done = subprocess.run([sys.executable, *options, "-c", script], capture_output=True, text=True, check=True)
    assert ("will change" in done.stderr) is told

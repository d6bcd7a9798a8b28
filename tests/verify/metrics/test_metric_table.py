"""How metrics are named, and a metric of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketfit.errors import DataError, OptionError
from pocketfit.types import MetricInfo
from pocketfit.verify.metrics import NAMES, TOP_1, find_metric


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_found(name: str) -> None:
    assert find_metric(name).name == name


def test_top_1_is_the_one_whose_interval_is_counted() -> None:
    assert find_metric("top-1") is TOP_1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("top1", "did you mean top-1?"),
        ("pnsr", "did you mean psnr?"),
        ("recall", "did you mean recall@1?"),
        ("beauty", "Allowed: top-1, top-5"),
        ("top-0", "another number above 0"),
        ("tar@far=2", "above 0 and below 1"),
        ("map@1.5", "above 0 and up to 1"),
        ("psnr@0", "no peak"),
        ("no_such_module:score", "no_such_module"),
    ],
)
def test_other_names_are_refused(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message.replace("?", r"\?")):
        find_metric(text)


OWN = """
def within(outputs, targets):
    return float((abs(outputs[0] - targets) < 0.5).mean())

within.unit = "share"

def error(outputs, targets):
    return float(abs(outputs[1] - targets).sum())

error.higher_is_better = False

def broken(outputs, targets):
    return 1 / 0

def odd(outputs, targets):
    return 1.0

odd.higher_is_better = "yes"

number = 3
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own_metrics.py").write_text(OWN)
    return str(tmp_path / "own_metrics.py")


def test_a_function_of_the_users_own(own: str) -> None:
    within, error = find_metric(f"{own}:within"), find_metric(f"{own}:error")
    assert within.info == MetricInfo("within", "share")
    assert error.info == MetricInfo("error", "", higher_is_better=False)
    outputs, targets = [np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0])], np.array([1.0, 2.2, 4.0])
    assert within.score(outputs, targets) == pytest.approx(2 / 3)
    assert within.scorer(outputs, targets).of(np.array([0.0, 1.0, 1.0])) == pytest.approx(1 / 2)
    assert error.score(outputs, targets) == pytest.approx(4.2)


def test_what_is_stored_under_it_follows_its_code(own: str) -> None:
    before = find_metric(f"{own}:within").fingerprint
    assert find_metric(f"{own}:within").fingerprint == before
    Path(own).write_text(OWN.replace("0.5", "0.25"))
    assert find_metric(f"{own}:within").fingerprint != before


def test_an_error_in_it_names_it(own: str) -> None:
    with pytest.raises(DataError, match=r"own_metrics\.py:broken failed on 2 samples: ZeroDivisionError.*line 13"):
        find_metric(f"{own}:broken").score([np.ones(2)], np.ones(2))


@pytest.mark.parametrize(("name", "message"), [("odd", "True or False"), ("number", "is a int"), ("withn", "within")])
def test_what_is_no_metric(own: str, name: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        find_metric(f"{own}:{name}")


def test_help_names_every_metric() -> None:
    from typer.main import get_command

    from pocketfit.cli.app import app

    for verb in ("fit", "quantize", "diagnose"):
        options = get_command(app).commands[verb].params  # type: ignore[attr-defined]
        (metric,) = [option for option in options if option.name == "metric"]
        assert ", ".join(NAMES) in metric.help

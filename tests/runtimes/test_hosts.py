"""Where a runtime's sessions run, and what is said where they do not."""

import platform
from dataclasses import replace

import pytest

from pocketfit.errors import OptionError, RuntimeMissing
from pocketfit.runtimes import require_here, runs_here, why_not_run_here
from pocketfit.runtimes.onnxruntime import OnnxRuntime
from pocketfit.runtimes.options import complete_options
from pocketfit.types import RuntimeInfo, RuntimeOption

HERE = {"Darwin": "macos"}.get(platform.system(), platform.system().lower())
OTHERS = tuple(sorted({"linux", "macos", "windows"} - {HERE}))
INFO = replace(
    OnnxRuntime.info,
    title="Optional",
    options=(
        RuntimeOption("units", ("all", "one"), "What it computes on."),
        RuntimeOption("ios", ("17",), "For whom."),
    ),
)


class Elsewhere(OnnxRuntime):
    info = replace(OnnxRuntime.info, title="Elsewhere", hosts=OTHERS)


def test_runtimes_run_everywhere_unless_they_say_otherwise() -> None:
    assert RuntimeInfo.__dataclass_fields__["hosts"].default == ("linux", "macos", "windows")
    assert runs_here(OnnxRuntime())
    assert why_not_run_here(OnnxRuntime()) == ""
    require_here(OnnxRuntime())


def test_elsewhere_the_systems_are_named() -> None:
    assert not runs_here(Elsewhere())
    titles = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}
    said = f"Elsewhere runs on {titles[OTHERS[0]]} and {titles[OTHERS[1]]} only, and this is {titles[HERE]}"
    assert why_not_run_here(Elsewhere()) == said
    with pytest.raises(RuntimeMissing) as caught:
        require_here(Elsewhere())
    assert str(caught.value).startswith(said)


def test_what_was_not_asked_for_has_its_default() -> None:
    assert complete_options(INFO, {}) == {"units": "all", "ios": "17"}
    assert complete_options(INFO, {"units": "one"}) == {"units": "one", "ios": "17"}
    assert complete_options(OnnxRuntime.info, {}) == {"delegate": "cpu", "batch": "1", "input-type": "float32"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"units": "two"}, "Optional has no units 'two'. Allowed: all, one."),
        ({"speed": "high"}, "Optional has no option 'speed'. It has: units, ios."),
    ],
)
def test_what_it_does_not_take_is_refused(asked: dict[str, str], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        complete_options(INFO, asked)
    assert str(caught.value) == said

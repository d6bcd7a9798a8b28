from __future__ import annotations

from pathlib import Path

import pytest

from pocketfit.cli.app import run
from pocketfit.cli.search import SearchOptions, parse_time, wants_search
from pocketfit.errors import OptionError


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("30", 30)])
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0m", "-1s", "1d"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is no time"):
        parse_time(text)


def test_options_of_a_search_belong_to_one() -> None:
    assert wants_search("search", SearchOptions("top-1", trials=3))
    assert not wants_search("all", SearchOptions("psnr"))
    with pytest.raises(OptionError, match=r"--trials, --ray is about a search\. Add --strategy search"):
        wants_search("all", SearchOptions("top-1", trials=3, ray="auto"))
    with pytest.raises(OptionError, match="--strategy 'nas' is not a strategy"):
        wants_search("nas", SearchOptions("top-1"))


def test_a_dry_run_shows_the_space(net, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["fit", net.model, f"--weights={net.weights}", "--data=digits", f"--out={tmp_path / 'out'}", "--dry-run"]
    line += ["--strategy=search", "--targets=onnxruntime", "--trials=5", f"--cache={tmp_path / 'cache'}"]

    assert run([*line, "--latency=5ms"]) == 0

    printed = capsys.readouterr().out
    assert "search 24 candidates: 100%, 90%" in printed
    assert "deployments: onnxruntime float32, onnxruntime float16, onnxruntime int8" in printed
    assert "try 5 of them on 1 process here" in printed
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.search").exists()

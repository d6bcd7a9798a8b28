import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from pocketfit.report.terminal import print_fit
from pocketfit.types import FitResult, StageTime


def printed(result: FitResult, width: int = 200, **options: object) -> str:
    stream = io.StringIO()
    print_fit(result, Console(file=stream, width=width, **options))  # type: ignore[arg-type]
    return stream.getvalue()


def row(text: str, *words: str) -> str:
    return next(line for line in text.splitlines() if all(word in line.split() for word in words))


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_console_and_no_cell_is_cut(result: FitResult, width: int) -> None:
    text = printed(result, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for candidate in result.candidates:
        assert row(text, candidate.runtime, candidate.precision)


def test_a_wide_console_shows_every_figure(result: FitResult) -> None:
    text = printed(result)
    assert row(text, "litert", "int8").split() == [
        *("litert", "int8", "4.02", "MB", "0.28x", "90.0%", "0.2", "-0.3", "to", "+0.8", "98.2%", "31.4", "0.9996"),
        *("3.45", "3.90", "0.44x", "2.00", "2.45", "9.65", "MB", "52/53", "chosen"),
    ]
    assert "Left out" not in text


def test_a_narrow_console_leaves_out_the_least_important_and_says_so(result: FitResult) -> None:
    text = printed(result, 100)
    left_out = " ".join(text[text.index("Left out of 100 columns:") :].split("\n\n")[0].split())
    assert "parity cosine" in left_out
    assert "drop points" not in left_out
    assert row(text, "litert", "int8", "3.45", "chosen")


def test_every_verdict_is_a_word_and_every_reason_is_given(result: FitResult) -> None:
    text = " ".join(printed(result).split())
    assert "litert float16 failed: at convert: litert: no float16 for aten.foo <layer [3]> Leave float16 out." in text
    assert "onnxruntime float32 over budget: 14.2 MB, 6.16 MB over the 8.00 MB allowed" in text
    assert "ncnn: int8 is the smallest that fits" in text
    assert "it is slower than float32 on this host (13.7 ms against 12.1 ms)" in text


def test_where_it_was_measured_stages_and_notes(result: FitResult) -> None:
    text = printed(result)
    assert "this host, AMD EPYC, 2 cores, Linux" in text
    assert row(text, "calibrate").split() == ["calibrate", "31.8", "reused"]
    assert "litert int8: SiLU runs as two ops." in text
    assert "float top-1 90.2% on 1,300 held-out samples" in text


def test_noise_is_not_called_held_out_samples(result: FitResult) -> None:
    text = printed(replace(result, calibration_samples=0, evaluation_samples=16))
    assert "on 16 samples of noise" in text


def test_stages_of_a_kind_are_one_line(result: FitResult) -> None:
    stages = (
        StageTime("load", 1.0, True),
        StageTime("convert ncnn int8", 2.0, True),
        StageTime("convert ncnn float32", 3.0, False),
    )
    text = printed(replace(result, stages=stages))
    assert row(text, "load").split() == ["load", "1.0", "reused"]
    assert row(text, "convert", "x2").split() == ["convert", "x2", "5.0", "1", "reused"]
    assert row(text, "sum,").split()[-1] == "6.0"


def test_without_labels_there_are_no_accuracy_columns(
    result: FitResult, unlabelled: Callable[[FitResult], FitResult]
) -> None:
    text = printed(unlabelled(result))
    assert "top-1" not in text
    assert "drop" not in text
    assert row(text, "ncnn", "int8", "chosen")


def test_a_pipe_and_no_color_get_plain_text(result: FitResult, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in printed(result)
    monkeypatch.setenv("NO_COLOR", "1")
    without_color = printed(result, force_terminal=True)
    monkeypatch.delenv("NO_COLOR")
    colored = printed(result, force_terminal=True, color_system="truecolor")
    assert "\x1b[31m" not in without_color
    assert "\x1b[31m" in colored


def test_markup_in_reasons_is_text(result: FitResult) -> None:
    noted = replace(result, notes=("a [bold]note[/] on [/closing]",), model="net[red]")
    text = printed(noted)
    assert "a [bold]note[/] on [/closing]" in text
    assert "net[red]:" in text


def test_a_run_in_which_everything_failed_is_still_a_table(result: FitResult) -> None:
    failed = tuple(candidate for candidate in result.candidates if candidate.failure)
    text = printed(replace(result, candidates=failed, choices=()))
    assert row(text, "litert", "float16", "failed")


@pytest.mark.parametrize("width", [56, 80, 200])
def test_what_was_not_run_says_so_and_shows_what_its_files_tell(not_run: FitResult, width: int) -> None:
    text = printed(not_run, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    reason = "coreml float32, int8: Core ML runs on macOS only, and this is Linux. Accuracy and latency are not known."
    assert reason in " ".join(text.split())
    assert "Not fitting" in text and "coreml float32 converted" not in text
    if width == 200:
        shown = " ".join(row(text, "coreml", "int8").split())
        assert shown.startswith("coreml int8 750 kB 0.25x - - - - - -")
        assert shown.endswith("- 53/53 converted, not run here")


def test_another_metric_has_its_own_name_and_unit(psnr: FitResult) -> None:
    text = printed(psnr, width=200)
    assert "float psnr 31.50 dB on 1,300" in text
    assert row(text, "onnxruntime", "int8").split()[5:10] == ["31.35", "0.15", "+0.11", "to", "+0.20"]
    assert "psnr 0.15 dB worse" in text
    assert "ncnn int8 over budget: drop 0.46 dB, 0.16 over the 0.30 allowed" in text
    for word in ("top-1", "points", "same answers", "accuracy lost"):
        assert word not in text

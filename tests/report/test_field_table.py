from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from pocketfit.report.field import FIELD_FIGURES, FIELD_WORDS, field_rows, tier_lines
from pocketfit.report.html import render_html
from pocketfit.report.summary import as_json, from_json
from pocketfit.report.terminal import print_fit
from pocketfit.types import FieldDevice, FitResult, Precision

FIELD = (
    FieldDevice("high", "one", "ncnn", Precision.INT8, "cpu", 4, 2.0, 1.5, 3.0, 6_000_000, 89.7, 0.46, 3_620_000),
    FieldDevice("high", "two", "ncnn", Precision.INT8, "cpu", 4, 4.0, 3.0, 6.0, 6_000_000, 89.7, 0.46, 3_620_000),
    FieldDevice("high", "three", "litert", Precision.INT8, "npu", 1, 1.0, 0.5, 2.0, 6_000_000, None, None, 4_000_000),
    FieldDevice("low", "four"),
)


@pytest.fixture
def surveyed(result: FitResult) -> FitResult:
    return replace(result, field=FIELD)


def test_every_row_has_every_cell(surveyed: FitResult) -> None:
    rows = field_rows(surveyed)
    assert {len(row) for row in rows} == {len(FIELD_WORDS) + len(FIELD_FIGURES)}
    assert rows[0][:5] == ("high", "one", "ncnn int8", "CPU x4", "2.00 ms")
    assert rows[0][-2:] == ("89.7%", "0.5 points")
    assert set(rows[3][2:]) == {"-"}


def test_a_tier_in_a_sentence(surveyed: FitResult) -> None:
    high, low = tier_lines(surveyed)
    assert "ncnn int8 on the CPU x4 is the fastest on most devices, 2 of 3; the slowest is two, 4.00 ms" in high
    assert low.startswith("low: nothing is known")


@pytest.mark.parametrize("show", [render_html, as_json])
def test_it_is_in_page_and_json(surveyed: FitResult, show: Callable[[FitResult], str]) -> None:
    assert "three" in show(surveyed)


def test_it_is_in_the_terminal_only_where_asked_for(surveyed: FitResult, result: FitResult) -> None:
    console = Console(width=160, record=True, file=StringIO())
    print_fit(surveyed, console)
    assert "The field, predicted" in console.export_text()
    print_fit(result, console)
    assert "The field" not in console.export_text()
    assert from_json(as_json(surveyed)).field == FIELD

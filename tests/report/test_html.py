import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pocketfit.errors import OutputError
from pocketfit.report.html import render_html, write_html
from pocketfit.types import Budget, Choice, FitResult, LayerQuality, Scheme

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """What the tests ask of a page: tags with attributes, visible text, plots, and whether it is well nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.plots: dict[str, dict[str, list[dict[str, object]]]] = {}
        self.scripts: list[str] = []
        self._open: list[str] = []
        self._plot: str | None = None
        self.feed(text)
        self.text = " ".join(self.text.split())
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "script":
            self._plot = dict(attrs).get("data-plot")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["script"]:
            if self._plot:
                self.plots[self._plot] = json.loads(data, parse_constant=pytest.fail)
            else:
                self.scripts.append(data)
        elif self._open[-1:] != ["style"]:
            self.text += data + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page(result: FitResult) -> Page:
    return Page(render_html(result))


def test_nothing_is_fetched(result: FitResult) -> None:
    text = render_html(result)
    page = Page(text)
    for _, attributes in page.tags:
        assert not {"src", "href", "srcset", "action", "background", "poster"} & attributes.keys()
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert "@import" not in styles
    assert "url(" not in styles
    (policy,) = [meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    content = policy["content"] or ""
    assert content.startswith("default-src 'none'")
    assert "http" not in content


def test_the_plotting_library_is_inside_once(page: Page) -> None:
    assert sum("plotly.js v" in script for script in page.scripts) == 1


def test_equal_results_give_equal_pages(result: FitResult) -> None:
    assert render_html(result) == render_html(replace(result))


def test_the_headline_says_what_was_achieved_and_where(page: Page) -> None:
    assert "3.7x smaller, 0.1 points lost, 2.3x faster in ONNX Runtime on this host" in page.text
    assert page.text.count("this host, AMD EPYC, 2 cores, Linux") >= 4


def test_every_decision_figure_and_condition_is_told(page: Page) -> None:
    for expected in (
        "it is slower than float32 on this host (13.7 ms against 12.1 ms).",
        "onnxruntime int8 chosen 3.81 MB 0.27x 90.0% 0.1 -0.3 to +0.8 98.2% 31.4 0.9996 3.93 4.44 0.44x",
        "ONNX Runtime float32 over budget: 14.2 MB, 6.16 MB over the 8.00 MB allowed",
        "Accuracy drop 1.0 points Size 8.00 MB",
        "100 samples; their labels, if any, were not used",
        "1,300 other samples, held out, with labels",
        "shorter side to 256 pixels",
        "the centre 224 x 224",
        "0.485, 0.456, 0.406",
        "torch 2.13.0",
        "calibrate 31.8 reused",
        "ncnn cannot express a zero point",
        "features.0.conv.0 conv2d conv2d_0 9.5",
    ):
        assert expected in page.text


def test_tables_have_captions_and_plots_have_words(page: Page) -> None:
    assert len(page.all("caption")) == len(page.all("table")) == 4
    images = [attributes for attributes in page.all("div") if attributes.get("role") == "img"]
    assert len(images) == len(page.plots) == 4
    assert all(image["aria-label"] for image in images)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes} <= set(ids)


def test_rows_can_be_sorted_by_number(page: Page) -> None:
    orders = [attributes["data-order"] for tag, attributes in page.tags if tag == "td" and "data-order" in attributes]
    assert "14160000" in orders
    assert "Infinity" in orders  # of an exact parity, as JavaScript spells it
    assert "inf" not in orders
    assert "" in orders  # of a row that failed


def test_the_tradeoff_shows_size_accuracy_latency_and_the_budget(page: Page) -> None:
    plot = page.plots["tradeoff"]
    bubbles = {trace["name"]: trace for trace in plot["data"]}
    assert bubbles["LiteRT"]["x"] == [14.12, 4.02]
    assert bubbles["LiteRT"]["y"] == pytest.approx([90.2, 89.97])  # 90.2 minus drops of 0 and 0.23, as floats
    assert bubbles["ncnn"]["marker"]["size"] == [12.1, 12.4, 13.7]  # type: ignore[index]
    shapes = plot["layout"]["shapes"]  # type: ignore[call-overload]
    assert [shape.get("x0") for shape in shapes if shape["xref"] == "x"] == [8.0]
    assert [shape["y0"] for shape in shapes if shape["yref"] == "y"] == [90.2, 89.2]


def test_latency_bars_have_whiskers_up_to_the_90th_percentile(page: Page) -> None:
    one, two = page.plots["latency"]["data"]
    assert (one["name"], two["name"]) == ("1 thread", "2 threads")
    assert one["x"] == [8.97, 9.21, 3.93, 7.83, 3.45, 12.1, 12.4, 13.7]
    assert one["error_x"]["array"][0] == pytest.approx(8.97 * 0.13)  # type: ignore[index]  # as the fixture makes it


def test_the_worst_layers_come_first_with_their_module(page: Page) -> None:
    for scheme, worst in (("affine", 9.5), ("symmetric", 7.1)):
        (bars,) = page.plots[f"sensitivity-{scheme}"]["data"]
        sqnr = bars["x"]
        assert isinstance(sqnr, list)
        assert (len(sqnr), sqnr[0]) == (20, worst)
        assert sqnr == sorted(sqnr)
        assert page.plots[f"sensitivity-{scheme}"]["layout"]["yaxis"]["ticktext"][0] == "features.0.conv.0"  # type: ignore[call-overload]


def test_layers_without_noise_are_no_bars_but_in_the_table(result: FitResult) -> None:
    layers = (LayerQuality("relu", "relu", "act", float("inf")), LayerQuality("add", "add", "", 30.0))
    page = Page(render_html(replace(result, layers={Scheme.AFFINE: layers})))
    assert page.plots["sensitivity-affine"]["data"][0]["x"] == [30.0]
    assert "act relu relu exact" in page.text


def test_text_is_escaped_everywhere(result: FitResult) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    layers = {Scheme.AFFINE: (LayerQuality("n", "conv2d", evil, 5.0),)}
    spoiled = replace(
        result, model=evil, source=evil, host=evil, notes=(evil,), layers=layers, choices=(Choice(evil, None, evil),)
    )
    page = Page(render_html(spoiled))
    assert page.all("img") == []
    assert evil in page.text
    assert page.plots["sensitivity-affine"]["data"][0]["text"] == [f"{evil}<br>conv2d, node n<br>5.0 dB"]


def test_without_labels_latency_takes_the_place_of_accuracy(
    result: FitResult, unlabelled: Callable[[FitResult], FitResult]
) -> None:
    page = Page(render_html(unlabelled(result)))
    assert "3.7x smaller, 2.3x faster in ONNX Runtime on this host" in page.text
    assert page.plots["tradeoff"]["data"][1]["y"] == [7.83, 3.45]
    assert "top-1" not in page.text
    assert "without labels" in page.text


def test_a_run_in_which_nothing_worked_is_still_a_page(result: FitResult) -> None:
    failed = tuple(candidate for candidate in result.candidates if candidate.failure)
    page = Page(render_html(replace(result, candidates=failed, choices=(), layers={}, preprocess=None, notes=())))
    assert "No artifact could be made" in page.text
    assert "LiteRT float16 failed: at convert" in page.text
    assert page.plots == {}


def test_an_empty_budget_names_the_default(result: FitResult) -> None:
    page = Page(render_html(replace(result, budget=Budget())))
    assert "1.0 points, the default where labels are known" in page.text
    assert "Size no limit Memory no limit" in page.text


def test_a_page_is_written_as_utf8(result: FitResult, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_html(replace(result, model="réseau"), path)
    assert "réseau" in path.read_text(encoding="utf-8")


def test_a_folder_that_does_not_exist_is_an_output_error(result: FitResult, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written to"):
        write_html(result, tmp_path / "missing" / "report.html")


def test_what_was_not_run_is_a_row_of_its_own_kind(not_run: FitResult) -> None:
    page = render_html(not_run)
    assert page.count('<tr class="not-run">') == 2
    assert "<h3>Converted, not run here</h3>" in page
    assert "coreml float32, int8: Core ML runs on macOS only, and this is Linux." in page


def test_another_metric_has_its_own_name_and_unit(psnr: FitResult) -> None:
    page = Page(render_html(psnr))
    assert "float psnr 31.50 dB" in page.text
    assert "psnr 0.15 dB worse" in page.text
    assert "Drop of psnr 0.30 dB Size 8.00 MB" in page.text
    assert "against its psnr (dB)" in page.text
    assert "top-1" not in page.text

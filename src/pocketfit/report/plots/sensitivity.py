"""Which layers suffer most from quantization."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pocketfit.report.plots import COLORS, Plot, figure, height_of_bars
from pocketfit.types import LayerQuality, Scheme

__all__ = ["sensitivity", "worst_first"]

SHOWN = 20
# What leaves room for the bars on a phone; the end of a module path says more than its beginning.
LONGEST_LABEL = 24


def sensitivity(scheme: Scheme, layers: Sequence[LayerQuality]) -> Plot:
    """Bars of the SQNR of the worst layers, the worst on top."""
    worst = [layer for layer in worst_first(layers) if math.isfinite(layer.sqnr_db)][:SHOWN]
    places = list(range(len(worst)))
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": places,  # numbers, because layers of one module share a label and bars that share a label share a place
        "x": [layer.sqnr_db for layer in worst],
        "text": [f"{_path(layer)}<br>{layer.op}, node {layer.name}<br>{layer.sqnr_db:.1f} dB" for layer in worst],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": COLORS[0] if scheme is Scheme.AFFINE else COLORS[1]},
    }
    labels = {"tickvals": places, "ticktext": [_label(layer) for layer in worst]}
    return Plot(
        f"sensitivity-{scheme}",
        f"{scheme.capitalize()} activations",
        f"{_how_many(len(worst), len(layers))}, worst first: signal to quantization noise (SQNR) in decibel, "
        "everything before a layer quantized as well. Fewer decibel are worse; 20 dB are a noise of a tenth.",
        figure(
            [bars],
            height=height_of_bars(len(worst)),
            xaxis={"title": {"text": "SQNR (dB)"}},
            yaxis={"autorange": "reversed", "automargin": True, **labels},
        ),
    )


def worst_first(layers: Sequence[LayerQuality]) -> list[LayerQuality]:
    """By SQNR; equal ones in the order of the graph."""
    return sorted(layers, key=lambda layer: layer.sqnr_db)


def _how_many(shown: int, layers: int) -> str:
    return f"All {layers} layers" if shown == layers else f"The {shown} worst of {layers} layers"


def _path(layer: LayerQuality) -> str:
    return layer.source or layer.name


def _label(layer: LayerQuality) -> str:
    path = _path(layer)
    return path if len(path) <= LONGEST_LABEL else f"…{path[1 - LONGEST_LABEL :]}"

"""The plots of the page, as plotly figures in plain dictionaries.

Colours that depend on light or dark (text, grid lines) are filled in by the page itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["COLORS", "Figure", "Plot", "figure", "height_of_bars"]

Figure = dict[str, Any]

# Told apart on white and on near-black, and by readers who see no red or no green.
COLORS = ("#3b82d0", "#e08a1e", "#1f9e89", "#b065c4", "#c9524a", "#7d8590")

BAR_PX = 22
FRAME_PX = 110


@dataclass(frozen=True)
class Plot:
    """A figure and its words.

    Args:
        name: its id in the page.
        title: heading.
        description: what it shows, also for those who cannot see it.
        figure: `data` and `layout` as plotly takes them.
    """

    name: str
    title: str
    description: str
    figure: Figure


def figure(data: Sequence[Figure], **layout: Any) -> Figure:
    """A figure with the looks that all have in common; dragging scrolls the page instead of zooming."""
    common = {
        "margin": {"l": 60, "r": 20, "t": 20, "b": 60},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "dragmode": False,
    }
    return {"data": list(data), "layout": common | layout}


def height_of_bars(count: int) -> int:
    """Pixels for that many horizontal bars, axis and legend."""
    return FRAME_PX + BAR_PX * count

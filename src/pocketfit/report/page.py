"""A template filled in, with the plotting library beside it: a page that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocketfit.errors import OutputError
from pocketfit.report.columns import exact_or_db
from pocketfit.report.titles import title_of

__all__ = ["render", "write_page"]


def render(template: str, **page: Any) -> str:
    """The template of that name as text; what it asks for and does not get is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("pocketfit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"title_of": title_of, "exact_or_db": exact_or_db}
    return environment.get_template(template).render(page, plotly=get_plotlyjs())


def write_page(page: str, path: Path) -> None:
    """Write a page.

    Args:
        page: from `render`.
        path: of the file; its folder exists.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"the page cannot be written to {path}: {error.strerror}. Give a file in a folder that can be written."
        ) from error

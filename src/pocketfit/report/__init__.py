"""What a run found, for people and for programs: a terminal table, JSON, and a page."""

from __future__ import annotations

from pocketfit.report.summary import as_json, from_json

__all__ = ["as_json", "from_json"]

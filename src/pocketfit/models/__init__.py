"""Models: from what the user wrote to one canonical aten graph."""

from __future__ import annotations

from pocketfit.models.canonical import canonicalise, source_of
from pocketfit.models.load import load_model
from pocketfit.models.store import restore, save

__all__ = ["canonicalise", "load_model", "restore", "save", "source_of"]

"""A search for the smallest or fastest network that still does the job: many fits, of networks made from one model."""

from __future__ import annotations

from pocketfit.searching.request import SearchRequest, SearchResult
from pocketfit.searching.run import search, search_intentions

__all__ = ["SearchRequest", "SearchResult", "search", "search_intentions"]

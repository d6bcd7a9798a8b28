"""What a run is judged by: one file a metric, one table of them by name."""

from __future__ import annotations

from pocketfit.verify.metrics.metric import Metric, Scorer
from pocketfit.verify.metrics.table import NAMES, find_metric
from pocketfit.verify.metrics.top_k import TOP_1

__all__ = ["NAMES", "TOP_1", "Metric", "Scorer", "find_metric"]

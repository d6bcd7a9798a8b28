"""Where candidates are worked on: processes of this host, or the nodes of a Ray cluster."""

from __future__ import annotations

from pocketfit.search.executors.executor import Executor, Finished, Work
from pocketfit.search.executors.local import LocalExecutor
from pocketfit.search.executors.ray import RayExecutor

__all__ = ["Executor", "Finished", "LocalExecutor", "RayExecutor", "Work"]

"""A training whose processes are actors on the nodes of a Ray cluster."""

from __future__ import annotations

from pocketfit.compress.training.cluster.learner import ClusterLearner

__all__ = ["ClusterLearner"]

"""Data: calibration and evaluation samples, and the preprocessing they go through."""

from __future__ import annotations

from pocketfit.data.dataset import Dataset
from pocketfit.data.load import load_data
from pocketfit.data.options import Changes, parse_preprocess
from pocketfit.data.preprocess import arithmetic, batches, default_preprocess, geometry

__all__ = [
    "Changes",
    "Dataset",
    "arithmetic",
    "batches",
    "default_preprocess",
    "geometry",
    "load_data",
    "parse_preprocess",
]

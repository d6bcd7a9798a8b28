"""Samples where there is no data: noise, on which artifacts can be compared with the simulation and nothing else."""

from __future__ import annotations

import numpy as np

from pocketfit.data.dataset import Dataset, array_digest, fingerprint
from pocketfit.types import Samples

__all__ = ["noise"]

SAMPLES = 16


def noise(input_shape: tuple[int, ...]) -> Dataset:
    """Normal noise of mean 0 and standard deviation 1, the same every time; nothing to calibrate with.

    Args:
        input_shape: of the model, without the batch.
    """
    values = np.random.default_rng(0).standard_normal((SAMPLES, *input_shape)).astype(np.float32)
    return Dataset(
        calibration=_samples(values[:0]),
        evaluation=_samples(values),
        source="no data",
        notes=("No data was given: artifacts were compared with the simulation on noise, and accuracy is not known.",),
    )


def _samples(values: np.ndarray) -> Samples:
    return Samples(values, labels=None, preprocess=None, fingerprint=fingerprint(array_digest(values), None, None))

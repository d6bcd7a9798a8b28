"""Held-out images and the answers of an artifact on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.cases import Case
from benchmarks.real_data import cache_folder
from pocketfit.bundle.manifest import Manifest
from pocketfit.data.dataset import Dataset
from pocketfit.data.load import load_data
from pocketfit.types import Artifact, FitResult
from pocketfit.verify.run import outputs_of, store_inputs


def dataset(case: Case, about: FitResult | Manifest) -> Dataset:
    """The very samples that `fit` calibrated with and held out."""
    request = case.request(cache_folder(), cache_folder())
    return load_data(
        request.data,
        preprocess=request.preprocess,
        input_shape=about.input.shape[1:],
        cache=cache_folder() / "stages" / "images",
        calibration=request.calibration_samples,
    )


def held_out(case: Case, about: FitResult | Manifest, work: Path) -> Path:
    """The held-out inputs in a folder that `outputs` takes."""
    inputs = work / "inputs"
    inputs.mkdir()
    store_inputs(dataset(case, about).evaluation, inputs)
    return inputs


def outputs(artifact: Artifact, inputs: Path, work: Path) -> np.ndarray:
    """The artifact's outputs on every held-out sample, float32 N×classes."""
    out = work / f"{artifact.runtime}-{artifact.files[0].parent.name}.npy"
    outputs_of(artifact, inputs, out)
    values: np.ndarray = np.load(out)
    return values

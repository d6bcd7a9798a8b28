"""What all candidates of one input shape start from, as a folder that any host can be given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pocketfit.data.dataset import Dataset
from pocketfit.models.store import restore, save
from pocketfit.pipeline import Prepared
from pocketfit.types import LoadedModel, Samples
from pocketfit.verify.run import load_inputs, store_inputs

__all__ = ["Ground", "few", "read_ground", "write_ground"]


@dataclass(frozen=True)
class Ground:
    """The float model at one resolution, its data, and the answers that drops are counted from.

    Args:
        network: folder of the model.
        model: the same, loaded.
        data: as the model takes them.
        floats: outputs of the user's own float model on the held-out samples, float32 N×….
    """

    network: Path
    model: LoadedModel
    data: Dataset
    floats: np.ndarray


def write_ground(prepared: Prepared, floats: np.ndarray, folder: Path) -> None:
    """Write into an existing folder.

    Args:
        prepared: the model at its resolution.
        floats: of the model at its own resolution.
        folder: empty.
    """
    data = prepared.data
    for name in ("model", "calibration", "evaluation"):
        (folder / name).mkdir()
    save(restore(prepared.network), folder / "model")
    store_inputs(data.calibration, folder / "calibration")
    store_inputs(data.evaluation, folder / "evaluation")
    np.save(folder / "floats.npy", floats)
    assert data.evaluation.labels is not None  # a search refuses data without
    np.save(folder / "labels.npy", data.evaluation.labels)
    told = {
        "calibration": data.calibration.fingerprint,
        "evaluation": data.evaluation.fingerprint,
        "classes": data.evaluation.classes,
        "source": data.source,
        "notes": data.notes,
    }
    (folder / "ground.json").write_text(json.dumps(told), encoding="utf-8")


@lru_cache(maxsize=4)
def read_ground(folder: Path) -> Ground:
    """Read what `write_ground` wrote; once a process, inputs memory-mapped."""
    told = json.loads((folder / "ground.json").read_text(encoding="utf-8"))
    calibration, evaluation = (load_inputs(folder / name) for name in ("calibration", "evaluation"))
    labels, classes = np.load(folder / "labels.npy"), tuple(told["classes"])
    data = Dataset(
        Samples(calibration[0], None, calibration[1], fingerprint=told["calibration"]),
        Samples(evaluation[0], labels, evaluation[1], classes, told["evaluation"]),
        told["source"],
        tuple(told["notes"]),
    )
    network = folder / "model"
    return Ground(network, restore(network), data, np.load(folder / "floats.npy"))


def few(ground: Ground, network: Path, count: int) -> Prepared:
    """A network with the first held-out samples only."""
    samples = ground.data.evaluation
    assert samples.labels is not None
    part = Samples(
        samples.inputs[:count],
        samples.labels[:count],
        samples.preprocess,
        samples.classes,
        f"{samples.fingerprint}-{count}",
    )
    return Prepared(network, Dataset(ground.data.calibration, part, ground.data.source), ground.floats[:count])

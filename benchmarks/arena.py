"""Memory of the activations of every architecture: the bound, our plan, and greedy by size as TensorFlow Lite has it.

All in float32 with a batch of one, in units of 1000 bytes. `lower_bound_kb` holds for every order of the ops and every
layout; `greedy_kb` is in the order of the graph with the same ops in place as ours, `greedy_no_sharing_kb` with none.
Networks are taken as the conversion matrix last prepared them: run it first where passes over graphs have changed.

For some of them the runtimes' own figures stand beside ours, in float32, each converted and asked in child processes.
They do not count the same: `onnxruntime_kb` leaves the input out; `litert_kb` is the arena of LiteRT's own kernels with
their scratch memory, without XNNPACK; `executorch_outside_xnnpack_kb` leaves out what the XNNPACK delegate plans for
itself, where nearly all is; `mnn_with_weights_kb` is a session with the weights that it packs. ncnn does not tell.

    python -m benchmarks.arena    # asks the runtimes only, and keeps the other rows and columns
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress

from benchmarks.architectures import ARCHITECTURES, Architecture
from benchmarks.architectures.randomise import random_network
from benchmarks.matrix.prepare import Prepared
from benchmarks.real_data import cache_folder
from benchmarks.results import FOLDER, Row
from pocketfit.errors import ModelError, PocketfitError
from pocketfit.graph.calls import calls
from pocketfit.inspection.arena.plan import plan_arena
from pocketfit.models.canonical import canonicalise
from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.activations import ask_runtime
from pocketfit.types import LoadedModel

ASKED = (
    "mobilenetv2_050",
    "mobilenetv3_small_050",
    "efficientnet_lite0",
    "resnet18",
    "densenet121",
    "unet_transpose",
    "pixel_shuffle",
    "convnext_atto",
)
COLUMNS = {
    "onnxruntime": "onnxruntime_kb",
    "litert": "litert_kb",
    "executorch": "executorch_outside_xnnpack_kb",
    "mnn": "mnn_with_weights_kb",
}


def run() -> Iterator[Row]:
    """One row per architecture."""
    for subject in ARCHITECTURES:
        try:
            model = _model(subject)
        except PocketfitError as error:
            print(f"{subject.name}: {error}")
            continue
        yield _row(subject.name, model) | (_told(model) if subject.name in ASKED else {})


def _row(name: str, model: LoadedModel) -> Row:
    start = time.perf_counter()
    plan = plan_arena(model.graph)
    seconds = time.perf_counter() - start
    no_sharing = plan_arena(model.graph, in_place=False, reorder=False)
    return {
        "model": name,
        "ops": len(calls(model.graph)),
        "lower_bound_kb": plan.lower_bound_bytes / 1000,
        "ours_kb": plan.arena_bytes / 1000,
        "greedy_kb": plan.greedy_bytes / 1000,
        "greedy_no_sharing_kb": no_sharing.greedy_bytes / 1000,
        "seconds": round(seconds, 3),
    }


def _told(model: LoadedModel) -> Row:
    """A column for each runtime that tells; missing where it does not, or does not take the model."""
    row: Row = {}
    for name, column in COLUMNS.items():
        with suppress(PocketfitError):
            told = ask_runtime(model, get_runtime(name))
            row |= {} if told is None else {column: told.bytes / 1000}
    return row


def _ask_again() -> None:
    """Write the runtimes' columns into the rows that are there."""
    path = FOLDER / "arena.json"
    rows = {row["model"]: row for row in json.loads(path.read_text())}
    for subject in (subject for subject in ARCHITECTURES if subject.name in ASKED):
        told = _told(_model(subject))
        about = {key: rows[subject.name].pop(key) for key in ("date", "machine", "versions")}
        rows[subject.name] |= told | about
        print(subject.name, told)
        path.write_text(json.dumps(list(rows.values()), indent=1) + "\n")


def _model(subject: Architecture) -> LoadedModel:
    """As the conversion matrix last prepared it, where it did."""
    folder = cache_folder() / "conversion-matrix" / subject.name.partition(" ")[0]
    prepared = sorted(folder.glob("*/prepared.json"), key=lambda path: path.stat().st_mtime)
    # One that does not restore to what was saved is made anew.
    with suppress(ModelError):
        if prepared:
            return Prepared(prepared[-1].parent).model()
    return canonicalise(random_network(subject), subject.input_shape, name=subject.name)


if __name__ == "__main__":
    _ask_again()

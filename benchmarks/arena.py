"""Memory of the activations of every architecture: the bound, our plan, and greedy by size as TensorFlow Lite has it.

All in float32 with a batch of one, in units of 1000 bytes. `lower_bound_kb` holds for every order of the ops and every
layout; `greedy_kb` is in the order of the graph with the same ops in place as ours, `greedy_no_sharing_kb` with none.
Networks are taken as the conversion matrix last prepared them: run it first where passes over graphs have changed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

from benchmarks.architectures import ARCHITECTURES, Architecture
from benchmarks.architectures.randomise import random_network
from benchmarks.matrix.prepare import Prepared
from benchmarks.real_data import cache_folder
from benchmarks.results import Row
from pocketfit.errors import ModelError, PocketfitError
from pocketfit.graph.calls import calls
from pocketfit.inspection.arena.plan import plan_arena
from pocketfit.models.canonical import canonicalise
from pocketfit.types import LoadedModel


def run() -> Iterator[Row]:
    """One row per architecture."""
    for subject in ARCHITECTURES:
        try:
            model = _model(subject)
        except PocketfitError as error:
            print(f"{subject.name}: {error}")
            continue
        yield _row(subject.name, model)


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


def _model(subject: Architecture) -> LoadedModel:
    """As the conversion matrix last prepared it, where it did."""
    folder = cache_folder() / "conversion-matrix" / subject.name.partition(" ")[0]
    prepared = sorted(folder.glob("*/prepared.json"), key=lambda path: path.stat().st_mtime)
    # One that does not restore to what was saved is made anew.
    with suppress(ModelError):
        if prepared:
            return Prepared(prepared[-1].parent).model()
    return canonicalise(random_network(subject), subject.input_shape, name=subject.name)

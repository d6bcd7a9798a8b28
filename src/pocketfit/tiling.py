"""One model on one image of any size: planned, converted, run tile by tile in a child process, and measured."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from pocketfit.devices.memory import mark, risen_since
from pocketfit.inspection.arena.plan import plan_arena
from pocketfit.runtimes import get_runtime, require, require_here
from pocketfit.runtimes.isolate import call
from pocketfit.runtimes.work import artifact_from_json, artifact_to_json, convert_float_in_child
from pocketfit.stages import Watcher, timed
from pocketfit.tiles import TilePlan, memory_bytes, plan_tiles, run_tiled
from pocketfit.types import LoadedModel, Session

__all__ = ["Crew", "Estimate", "Tiled", "estimate", "run_in_tiles"]

TIMEOUT_S = 24 * 3600.0
FLOAT32_BYTES = 4

_PLAN = TypeAdapter(TilePlan)


@dataclass(frozen=True)
class Crew:
    """Who runs the tiles.

    Args:
        runtime: name of the runtime.
        workers: tiles in flight, each in a session of its own.
        threads: of each session.
    """

    runtime: str = "onnxruntime"
    workers: int = 1
    threads: int = 1


@dataclass(frozen=True)
class Estimate:
    """What tiling an image takes, before anything is run.

    Args:
        plan: the tiles, and whether they give what the whole image gives.
        image_bytes: of the image as the model takes it; it lies in a file that is mapped into memory.
        tiles_bytes: the answer, and what is in flight: never more, whatever the image's content.
        activation_bytes: of the network in all sessions, as Pocketfit plans it: a prediction, since each runtime plans
            its own.
    """

    plan: TilePlan
    image_bytes: int
    tiles_bytes: int
    activation_bytes: int


@dataclass(frozen=True)
class Tiled:
    """How it went: seconds of all tiles, and the resident memory in bytes that the sessions and tiles added."""

    seconds: float
    peak_memory_bytes: int


def estimate(model: LoadedModel, image: tuple[int, int], *, overlap: int | None = None, workers: int = 1) -> Estimate:
    """Plan the tiles of an image, and what memory they take.

    Args:
        model: from images to images; its input is one tile.
        image: height and width in pixels.
        overlap: pixels that neighbours are to share at least; None to choose.
        workers: tiles in flight.

    Raises:
        ModelError: the model does not answer an image with an image.
        OptionError: an overlap that is larger than the tile.
    """
    plan = plan_tiles(model, image, overlap=overlap)
    channels, given = model.output.shape[1], model.input.shape[1]
    return Estimate(
        plan=plan,
        image_bytes=FLOAT32_BYTES * given * prod(image),
        tiles_bytes=memory_bytes(plan.grid, given, channels, min(workers, len(plan.grid))),
        activation_bytes=min(workers, len(plan.grid)) * plan_arena(model.graph).arena_bytes,
    )


def run_in_tiles(model: LoadedModel, image: Path, plan: TilePlan, out: Path, crew: Crew, watcher: Watcher) -> Tiled:
    """Convert a model in float32 and run it over an image, both in child processes.

    Args:
        model: its input is one tile.
        image: `.npy`, float32 1×C×H×W.
        plan: for that model and image.
        out: `.npy` file for the answer, float32 1×D×H×W; it appears when all tiles are done.
        crew: who runs them.
        watcher: told of both stages, and of each tile.

    Raises:
        RuntimeMissing: the runtime is not installed, or does not run here.
        ConversionError: the runtime does not take the model.
        IsolationError: the runtime crashed, hung or raised.
    """
    runtime = get_runtime(crew.runtime)
    require(runtime)
    require_here(runtime)
    with tempfile.TemporaryDirectory(prefix="pocketfit-tiles-") as folder:
        with timed(watcher, f"convert {crew.runtime}"):
            artifact = convert_float_in_child(model, crew.runtime, Path(folder))
        stage, done = f"tiles in {crew.runtime}", Path(folder) / "done.txt"
        with timed(watcher, stage, len(plan.grid)):
            arguments = {
                "artifact": artifact_to_json(artifact),
                "folder": artifact.files[0].parent,
                "image": image,
                "plan": _PLAN.dump_python(plan, mode="json"),
                "out": out,
                "done": done,
                "workers": crew.workers,
                "threads": crew.threads,
            }
            look = _reader(done, lambda count: watcher.advance(stage, count))
            return Tiled(**call("pocketfit.tiling:run_artifact", arguments, timeout_s=TIMEOUT_S, on_poll=look))


def run_artifact(
    artifact: Mapping[str, object],
    folder: str,
    image: str,
    plan: Mapping[str, object],
    out: str,
    done: str,
    workers: int,
    threads: int,
) -> dict[str, object]:
    """The child's part of `run_in_tiles`; `done` is a file that holds the number of tiles done so far."""
    opened, tiles = artifact_from_json(artifact, Path(folder)), _PLAN.validate_python(plan)
    runtime, pixels, opening = get_runtime(opened.runtime), np.load(image, mmap_mode="r"), threading.Lock()

    def open_session() -> Session:
        # One after the other: libraries set themselves up at the first, and two at once lock each other out.
        with opening:
            return runtime.open(opened, threads=threads)

    before, start = mark(), time.perf_counter()
    answer = run_tiled(
        open_session,
        pixels,
        tiles.grid,
        blend=tiles.blend,
        workers=workers,
        progress=lambda count, _: _note(Path(done), count),
    )
    seconds, memory = time.perf_counter() - start, risen_since(before)
    partial = Path(f"{out}.partial")
    with partial.open("wb") as stream:
        np.save(stream, answer)
    partial.replace(out)
    return {"seconds": seconds, "peak_memory_bytes": memory}


def _note(done: Path, count: int) -> None:
    done.write_text(str(count))


def _reader(done: Path, advance: Callable[[int], None]) -> Callable[[], None]:
    def look() -> None:
        with suppress(OSError, ValueError):  # not there yet, or just being rewritten
            advance(int(done.read_text()))

    return look

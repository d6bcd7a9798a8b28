from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch

from pocketfit.errors import DataError, ModelError, OptionError
from pocketfit.tiles import Blend, Grid, Ramp, memory_bytes, plan_tiles, run_tiled
from pocketfit.types import KernelUse, LoadedModel, Session

Models = Callable[[str, int, int], LoadedModel]
Openers = Callable[[str, int, int], Callable[[], Session]]
Images = Callable[[int, int], np.ndarray]

# Kernels of another size of image add in another order: some units in the last place of values around 1.
ROUNDING = 2e-5


class Recorder:
    """A session that runs another one, and counts how many run at once."""

    running = 0
    most = 0
    threads: frozenset[int] = frozenset()
    lock = threading.Lock()

    def __init__(self, session: Session) -> None:
        self.session = session
        self.owner = threading.get_ident()

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        assert threading.get_ident() == self.owner, "a session is used in the thread that opened it"
        with self.lock:
            Recorder.running += 1
            Recorder.most = max(Recorder.most, Recorder.running)
            Recorder.threads |= {self.owner}
        try:
            return self.session.run(inputs)
        finally:
            with self.lock:
                Recorder.running -= 1

    def kernels(self) -> KernelUse:
        return self.session.kernels()


def whole(model: LoadedModel, image: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = model.graph(torch.from_numpy(image)).numpy()
    return result


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("name", "size", "tile"),
    [("UNet", (136, 96), (64, 80)), ("SuperResolution", (61, 53), (32, 32)), ("Quarter", (96, 64), (48, 64))],
)
def test_tiles_give_what_the_whole_image_gives(
    name: str,
    size: tuple[int, int],
    tile: tuple[int, int],
    workers: int,
    model: Models,
    opener: Openers,
    image: Images,
) -> None:
    plan = plan_tiles(model(name, *tile), size)
    assert plan.exact and len(plan.grid) > 1
    tiled = run_tiled(opener(name, *tile), image(*size), plan.grid, blend=plan.blend, workers=workers)
    expected = whole(model(name, *size), image(*size))
    assert tiled.shape == expected.shape
    np.testing.assert_allclose(tiled, expected, atol=ROUNDING)


@pytest.mark.parametrize(("name", "tile"), [("UNet", (64, 80)), ("SuperResolution", (32, 32))])
def test_a_larger_overlap_is_blended_and_still_exact(
    name: str, tile: tuple[int, int], model: Models, opener: Openers, image: Images
) -> None:
    size = (96, 112)
    needed = plan_tiles(model(name, *tile), size).grid.overlap
    plan = plan_tiles(model(name, *tile), size, overlap=needed + 8)
    assert plan.exact and plan.grid.overlap == needed + 8
    tiled = run_tiled(opener(name, *tile), image(*size), plan.grid, blend=plan.blend)
    np.testing.assert_allclose(tiled, whole(model(name, *size), image(*size)), atol=ROUNDING)


def test_without_overlap_there_are_seams_that_the_overlap_takes_away(
    model: Models, opener: Openers, image: Images
) -> None:
    size, tile = (61, 53), (32, 32)
    tiled = run_tiled(opener("SuperResolution", *tile), image(*size), Grid(size, tile, scale=2))
    assert np.abs(tiled - whole(model("SuperResolution", *size), image(*size))).max() > 100 * ROUNDING


@pytest.mark.parametrize(("ramp", "steepest"), [(Ramp.LINEAR, 1.0), (Ramp.COSINE, 1.6)])
@pytest.mark.parametrize("name", ["SuperResolution", "Gated"])
def test_a_blended_seam_is_no_steeper_than_stated(
    name: str, ramp: Ramp, steepest: float, model: Models, opener: Openers, image: Images
) -> None:
    overlap, session = 6, opener(name, 32, 32)()
    scale = 2 if name == "SuperResolution" else 1
    grid, blend = Grid((32, 58), (32, 32), overlap, scale), Blend(ramp=ramp)
    picture = image(32, 58)
    left, right = (session.run([np.ascontiguousarray(part)])[0] for part in (picture[..., :32], picture[..., 26:]))
    left, right = left[..., 26 * scale :], right[..., : 6 * scale]
    seam = run_tiled(lambda: session, picture, grid, blend=blend)[..., 26 * scale : 32 * scale]
    within = np.maximum(*(np.abs(np.diff(part)) for part in (left, right)))
    disagreement = np.abs(left - right).max(axis=-1, keepdims=True)
    allowed = within + steepest * disagreement / (overlap * scale)
    assert (np.abs(np.diff(seam)) <= allowed + ROUNDING).all()
    assert (seam <= np.maximum(left, right) + ROUNDING).all() and (seam >= np.minimum(left, right) - ROUNDING).all()


def test_the_answer_does_not_depend_on_the_number_of_workers(opener: Openers, image: Images) -> None:
    grid = Grid((70, 90), (32, 32), 12)
    answers = [run_tiled(opener("Gated", 32, 32), image(70, 90), grid, workers=workers) for workers in (1, 2, 5)]
    assert all(np.array_equal(first, second) for first, second in pairwise(answers))


def test_a_small_image_is_lengthened_by_its_mirror(opener: Openers, image: Images) -> None:
    picture = image(20, 32)
    tiled = run_tiled(opener("Gated", 32, 32), picture, Grid((20, 32), (32, 32)))
    mirrored = np.pad(picture, ((0, 0), (0, 0), (0, 12), (0, 0)), mode="reflect")
    assert np.array_equal(tiled, opener("Gated", 32, 32)().run([mirrored])[0][:, :, :20])


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 40)])
def test_images_smaller_than_any_mirror(size: tuple[int, int], opener: Openers, image: Images) -> None:
    picture = image(*size)
    padded = np.pad(picture, ((0, 0), (0, 0), (0, 32 - size[0]), (0, max(32 - size[1], 0))), mode="reflect")
    tiled = run_tiled(opener("Gated", 32, 32), picture, Grid(size, (32, 32), 4))
    expected = opener("Gated", 32, 32)().run([np.ascontiguousarray(padded[..., :32])])[0]
    # The last tile of the longest image begins at its eighth column.
    np.testing.assert_array_equal(tiled[..., :8], expected[:, :, : size[0], : min(size[1], 8)])
    assert tiled.shape[2:] == size


def test_no_more_tiles_than_workers_are_in_flight(opener: Openers, image: Images) -> None:
    Recorder.most, Recorder.threads = 0, frozenset()
    done: list[tuple[int, int]] = []
    run_tiled(
        lambda: Recorder(opener("Gated", 32, 32)()),
        image(128, 128),
        Grid((128, 128), (32, 32)),
        workers=2,
        progress=lambda count, total: done.append((count, total)),
    )
    assert 1 <= Recorder.most <= 2 and len(Recorder.threads) <= 2
    assert done == [(count, 16) for count in range(1, 17)]


def test_memory_stays_within_what_is_stated(opener: Openers, image: Images) -> None:
    size, tile, workers = (250, 200), (128, 128), 2
    grid, picture = Grid(size, tile, 8, scale=2), image(*size)
    open_session = opener("SuperResolution", *tile)
    sessions = [open_session() for _ in range(workers)]
    # What is loaded only once.
    run_tiled(lambda: sessions[0], np.ascontiguousarray(picture[..., :128, :128]), Grid(tile, tile, scale=2))
    tracemalloc.start()
    try:
        run_tiled(sessions.pop, picture, grid, workers=workers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    stated = memory_bytes(grid, 3, 3, workers)
    # Threads, tiles and the grid's own numbers are Python objects, some ten thousand bytes in all; a tile's output is
    # 800,000 bytes. How much of the work of two threads falls together is chance.
    assert 0.6 * stated < peak < stated + 100_000


class Failing:
    """A session that fails at its third tile."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.left = 2

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("out of order")
        return self.session.run(inputs)

    def kernels(self) -> KernelUse:
        return self.session.kernels()


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_failing_session_ends_the_run(workers: int, opener: Openers, image: Images) -> None:
    before, done = threading.active_count(), []
    with pytest.raises(RuntimeError, match="out of order"):
        run_tiled(
            lambda: Failing(opener("Gated", 32, 32)()),
            image(320, 320),
            Grid((320, 320), (32, 32)),
            workers=workers,
            progress=lambda count, _: done.append(count),
        )
    assert len(done) < 3 * workers
    assert threading.active_count() == before


def test_a_session_that_cannot_be_opened_ends_the_run(image: Images) -> None:
    def refuse() -> Session:
        raise RuntimeError("no such file")

    with pytest.raises(RuntimeError, match="no such file"):
        run_tiled(refuse, image(64, 64), Grid((64, 64), (32, 32)), workers=2)


def test_progress_that_raises_ends_the_run(opener: Openers, image: Images) -> None:
    def stop(count: int, _: int) -> None:
        if count == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tiled(opener("Gated", 32, 32), image(320, 320), Grid((320, 320), (32, 32)), workers=2, progress=stop)


def test_another_scale_than_the_models_is_refused(opener: Openers, image: Images) -> None:
    with pytest.raises(ModelError, match=r"1x3x64x64; at scale 1 it should be 1x3x32x32"):
        run_tiled(opener("SuperResolution", 32, 32), image(64, 64), Grid((64, 64), (32, 32)))


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 3, 9, 8), np.float32), np.zeros((2, 3, 8, 8), np.float32), np.zeros((1, 3, 8, 8))]
)
def test_another_image_than_the_grids_is_refused(wrong: np.ndarray, opener: Openers) -> None:
    with pytest.raises(DataError, match=r"float32 1 x channels x 8x8"):
        run_tiled(opener("Gated", 32, 32), wrong, Grid((8, 8), (32, 32)))


def test_no_worker_is_refused(opener: Openers, image: Images) -> None:
    with pytest.raises(OptionError, match="0 workers"):
        run_tiled(opener("Gated", 32, 32), image(8, 8), Grid((8, 8), (32, 32)), workers=0)


def test_what_has_no_weight_does_no_harm() -> None:
    class Edges:
        """Infinite at the edge of every tile."""

        def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
            result = inputs[0].copy()
            result[..., -1] = np.inf
            return (result,)

        def kernels(self) -> KernelUse:
            return KernelUse(0, 0, "")

    picture = np.ones((1, 1, 4, 14), np.float32)
    tiled = run_tiled(Edges, picture, Grid((4, 14), (4, 8), 2), blend=Blend(1))
    assert np.isfinite(tiled[..., :-1]).all()

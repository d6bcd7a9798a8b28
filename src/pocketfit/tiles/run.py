"""Run a model over a large image, tile by tile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pocketfit.errors import DataError, OptionError
from pocketfit.tiles.blend import Blend
from pocketfit.tiles.canvas import Canvas, cut
from pocketfit.tiles.grid import Grid, Tile
from pocketfit.types import Session

if TYPE_CHECKING:
    import numpy as np

__all__ = ["run_tiled"]

Progress = Callable[[int, int], None]


def run_tiled(
    open_session: Callable[[], Session],
    image: np.ndarray,
    grid: Grid,
    *,
    blend: Blend | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> np.ndarray:
    """Run a model on every tile of an image and put the results together.

    No more than `workers` tiles are in flight, so that memory is bounded as `memory_bytes` states. Results are blended
    in the order of the tiles: the answer is the same, bit for bit, for any number of workers.

    Args:
        open_session: called once by each worker, in its own thread, since sessions are not shared between threads; a
            model of one input 1×C×tile and a first output 1×D×(tile × scale).
        image: float32 1×C×H×W, the numbers the model takes; may be memory-mapped.
        grid: for that image.
        blend: what happens where tiles overlap; None for a linear ramp over the whole overlap.
        workers: threads, at least 1.
        progress: called with (tiles done, all tiles) after each tile, from the workers' threads but never by two at
            once.

    Returns:
        float32 1×D×(H·scale)×(W·scale).

    Raises:
        DataError: the image is not the grid's.
        OptionError: no worker, or a margin that leaves gaps.
        ModelError: the model's output does not have the grid's scale.
        Exception: whatever a session raises; the tiles in flight are finished, and no other is begun.
    """
    _check(image, grid, workers)
    canvas, turns = Canvas(grid, blend or Blend()), _Turns(grid)

    def run_one(session: Session, number: int, tile: Tile) -> None:
        result = session.run([cut(image, grid, tile)])[0]
        if turns.wait(number):
            canvas.add(tile, result)
            if progress is not None:
                progress(number + 1, len(grid))
            turns.over()

    def work() -> None:
        with turns:
            session = open_session()
            while (taken := turns.take()) is not None:
                run_one(session, *taken)

    threads = min(workers, len(grid))
    # On leaving, the work is stopped first, and then the threads are waited for.
    with ThreadPoolExecutor(threads, "pocketfit-tiles") as pool, turns:
        for worker in [pool.submit(work) for _ in range(threads)]:
            worker.result()
    return canvas.pixels


class _Turns:
    """Hands out the tiles in their order, and lets their results in in the same order.

    As a context it stops the others when its body raises.
    """

    def __init__(self, tiles: Iterable[Tile]) -> None:
        self._tiles = enumerate(tiles)
        self._turn = 0
        self._stopped = False
        self._changed = threading.Condition()

    def take(self) -> tuple[int, Tile] | None:
        """The next tile and its number; None when there is none left, or the work was stopped."""
        with self._changed:
            return None if self._stopped else next(self._tiles, None)

    def wait(self, number: int) -> bool:
        """Wait until all tiles before this one are done; False when the work was stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._turn == number)
            return not self._stopped

    def over(self) -> None:
        """Let the next tile in."""
        with self._changed:
            self._turn += 1
            self._changed.notify_all()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()


def _check(image: np.ndarray, grid: Grid, workers: int) -> None:
    if workers < 1:
        raise OptionError(f"{workers} workers were asked for; give at least 1.")
    if image.ndim != 4 or len(image) != 1 or image.shape[2:] != grid.image or image.dtype != "float32":
        shape = "x".join(str(size) for size in image.shape)
        height, width = grid.image
        raise DataError(
            f"The image is {image.dtype} {shape}; the grid is for float32 1 x channels x {height}x{width}. "
            "Make the grid for this image, one image at a time."
        )

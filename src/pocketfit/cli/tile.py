"""`pocketfit tile`: a model of small images on an image of any size."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import (
    AsJson,
    Color,
    DryRun,
    InputShape,
    Mean,
    Model,
    Preprocess,
    Scale,
    Std,
    Weights,
    check_count,
    check_file,
    parse_shape,
)
from pocketfit.cli.output import console, print_json
from pocketfit.errors import ModelError, OptionError, OutputError
from pocketfit.types import InputShape as Shape

if TYPE_CHECKING:
    from pocketfit.contract import Contract
    from pocketfit.data.options import Changes
    from pocketfit.tiling import Crew, Estimate, Tiled
    from pocketfit.types import LoadedModel

__all__ = ["tile"]


def tile(
    model: Model,
    image: Annotated[
        Path, typer.Argument(help="Picture of any size, or .npy with the numbers themselves, float C x H x W.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where to write the answer: .png for 1 or 3 channels, .npy for any.")
    ],
    weights: Weights = None,
    input_shape: InputShape = None,
    size: Annotated[
        str | None, typer.Option("--tile", metavar="HxW", help="Pixels of a tile. Without it, the model's own input.")
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(help="Pixels that tiles share. Without it, as many as make the answer exact.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="Which runtime computes the tiles.")] = "onnxruntime",
    workers: Annotated[int, typer.Option(help="Tiles in flight, each in a session of its own.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each session.")] = 1,
    color: Color = None,
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    preprocess: Preprocess = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Run a model that answers images with images on an image of any size, tile by tile, in bounded memory.

    Super-resolution, segmentation, denoising. The tiles overlap as far as the network looks, so that no seam is left;
    where it looks at the whole image, they are blended, and that is said.
    Example: pocketfit tile net.py:build photo.jpg -o large.png --weights net.pth --tile 128
    """
    from pocketfit.data.options import parse_preprocess

    crew = _crew(runtime, workers, threads)
    _check_out(out)
    shape, side = None if input_shape is None else parse_shape(input_shape), _side(size)
    given = parse_preprocess(color=color, scale=scale, mean=mean, std=std, file=preprocess)

    from pocketfit.tiles.picture import check_channels, read_numbers
    from pocketfit.tiling import estimate

    loaded = _load(model, weights, shape, side)
    spec = _spec(loaded, given)
    with tempfile.TemporaryDirectory(prefix="pocketfit-tile-") as folder:
        numbers = Path(folder) / "image.npy"
        pixels = read_numbers(image, loaded.input.shape[1], spec, numbers)
        planned = estimate(loaded, pixels, overlap=overlap, workers=workers)
        check_channels(out, loaded.output.shape[1])
        done = None if dry_run else _run(loaded, numbers, planned, out, crew, spec)
    if as_json:
        print_json(_as_json(planned, done, crew, out))
    else:
        _show(planned, done, crew, out)


def _check_out(path: Path) -> None:
    check_file("--out", path)
    if path.suffix not in (".png", ".npy"):
        raise OutputError(f"--out {path} has to end in .png, for a picture, or in .npy, for the numbers themselves.")


def _crew(runtime: str, workers: int, threads: int) -> Crew:
    from pocketfit.runtimes import get_runtime, require, require_here
    from pocketfit.tiling import Crew

    check_count("--workers", workers)
    check_count("--threads", threads)
    cores = os.cpu_count() or 1
    if workers * threads > cores:
        raise OptionError(
            f"--workers {workers} with --threads {threads} take {workers * threads} threads, and there are {cores} "
            "cores. More would take memory and no less time: give fewer."
        )
    require(get_runtime(runtime))
    require_here(get_runtime(runtime))
    return Crew(runtime, workers, threads)


def _side(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.strip().isdecimal() and int(part) for part in parts):
        raise OptionError(f"--tile {text!r} is not allowed. Give pixels, such as 128, or height x width: 128x160.")
    return int(parts[0]), int(parts[-1])


def _load(spec: str, weights: Path | None, shape: Shape | None, side: tuple[int, int] | None) -> LoadedModel:
    """The model for tiles of that size, or for its own input."""
    from pocketfit.models.load import find_source, load_model
    from pocketfit.models.source import only_shape

    if side is None:
        return load_model(spec, weights=weights, input_shape=shape)
    own = find_source(spec, weights=weights, input_shape=shape).input_shape
    assert own is not None  # find_source asks for it
    try:
        return load_model(spec, weights=weights, input_shape=(only_shape(own, "tile runs")[0], *side))
    except ModelError as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"--tile {side[0]}x{side[1]}: {reason}\nLeave --tile out where a file was made for one size."
        ) from error


def _spec(model: LoadedModel, asked: Contract | Changes | None) -> Contract:
    """Of the numbers alone; images keep their size."""
    from pocketfit.contract import Color, Contract, Layout
    from pocketfit.data.options import resolve_preprocess

    own = model.preprocess or Contract(color=Color.GRAY if model.input.shape[1] == 1 else Color.RGB)
    spec = resolve_preprocess(asked, own) or own
    return replace(spec, resize=None, crop=None, layout=Layout.NCHW)


def _run(model: LoadedModel, numbers: Path, planned: Estimate, out: Path, crew: Crew, spec: Contract) -> Tiled:
    import numpy as np
    from rich.console import Console

    from pocketfit.cli.progress import Progress
    from pocketfit.tiles.picture import write_numbers
    from pocketfit.tiling import run_in_tiles

    answer = numbers.with_name("answer.npy")
    with Progress(Console(stderr=True)) as progress:
        done = run_in_tiles(model, numbers, planned.plan, answer, crew, progress)
    write_numbers(np.load(answer, mmap_mode="r"), spec, model.input.shape[1], out)
    return done


def _as_json(planned: Estimate, done: Tiled | None, crew: Crew, out: Path) -> dict[str, object]:
    from dataclasses import asdict

    grid = planned.plan.grid
    return {
        "image": list(grid.image),
        "output": list(grid.output),
        "scale": str(grid.scale),
        "tile": list(grid.tile),
        "overlap": grid.overlap,
        "tiles": len(grid),
        "exact": planned.plan.exact,
        "note": planned.plan.note,
        **asdict(crew),
        "memory": {
            "image_bytes": planned.image_bytes,
            "tiles_bytes": planned.tiles_bytes,
            "predicted_activation_bytes": planned.activation_bytes,
        },
        "measured": None if done is None else {**asdict(done), "out": str(out)},
    }


def _show(planned: Estimate, done: Tiled | None, crew: Crew, out: Path) -> None:
    from pocketfit.search.units import size

    grid = planned.plan.grid
    lines = [
        f"image           {_pixels(grid.image)}, answered with {_pixels(grid.output)}",
        f"tiles           {len(grid)} of {_pixels(grid.tile)} that share {grid.overlap} pixels",
        f"seams           {planned.plan.note}",
        f"memory          {size(planned.tiles_bytes)} for the answer and {crew.workers} tile(s) in flight, beside the "
        f"image, {size(planned.image_bytes)}, which is mapped from a file",
        f"predicted       {size(planned.activation_bytes)} for the network's activations in {crew.workers} session(s)",
    ]
    if done is not None:
        lines += [
            f"measured        {size(done.peak_memory_bytes)} at the peak, with the runtime and the weights; "
            f"{done.seconds:.1f} s for all tiles",
            f"Wrote {out}.",
        ]
    for line in lines:
        console().print(line, markup=False, highlight=False)


def _pixels(sides: tuple[int, int]) -> str:
    return f"{sides[0]}x{sides[1]}"

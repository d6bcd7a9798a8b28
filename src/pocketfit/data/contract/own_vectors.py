"""Test vectors of one contract, small enough to travel with it in a bundle."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from pocketfit.contract import Boxes, Classes, Contract, Embedding, PixelFormat, ShorterSide, Yuv
from pocketfit.data.contract.examples import noise
from pocketfit.data.contract.geometry import orient, place, placement
from pocketfit.data.contract.postprocess import Detection, postprocess
from pocketfit.data.contract.run import prepare, to_rgb
from pocketfit.data.contract.yuv import YuvImage, from_buffer
from pocketfit.errors import DataError

__all__ = ["own_vectors", "replay"]

Case = dict[str, Any]

VERSION = 1
# Of an array, so that one can be looked at that differs; its sha256 is of all of it.
SHOWN_BYTES = 4096
# The numbers behind `exp` and a division, which differ in the last bits from one mathematics library to the next.
SCORE_TOLERANCE = 2e-6
CHANNELS = {PixelFormat.RGB: (3,), PixelFormat.RGBA: (4,), PixelFormat.GRAY: ()}
BOXES = 40


def own_vectors(contract: Contract, size: tuple[int, int], outputs: int | None) -> str:
    """Pictures of noise with what the contract makes of them, as JSON; docs/preprocessing.md describes it.

    Args:
        contract: to be followed.
        size: height and width of the model's input.
        outputs: how many numbers the model answers for one image; None where that is no row of numbers.
    """
    upright = _sizes(contract, size)
    pictures = [_picture(contract, size, orientation) for size, orientation in zip(upright, (1, 6), strict=True)]
    content = {
        "version": VERSION,
        "inputs": [{**picture, **_prepared(picture, contract)} for picture in pictures],
        "answers": list(_answers(contract, outputs, upright[0])),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def replay(text: str, contract: Contract) -> tuple[int, tuple[str, ...]]:
    """Carry out the contract on stored vectors.

    Returns:
        The number of vectors, and of each that came out otherwise what differs.

    Raises:
        DataError: the text is no such JSON.
    """
    try:
        content = json.loads(text)
        found = [*_replayed_inputs(content["inputs"], contract), *_replayed_answers(content["answers"], contract)]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The preprocessing vectors cannot be read: {type(error).__name__}: {error}. Write the bundle again."
        ) from error
    return len(found), tuple(difference for difference in found if difference)


def _replayed_inputs(cases: list[Case], contract: Contract) -> Iterator[str]:
    """What differs in each case; empty where nothing does."""
    for number, case in enumerate(cases):
        made = _prepared(case, contract)
        wrong = [stage for stage in ("pixels", "expected") if made[stage] != case[stage]]
        yield f"input {number}: {' and '.join(wrong)} differ from what was written" if wrong else ""


def _replayed_answers(cases: list[Case], contract: Contract) -> Iterator[str]:
    for number, case in enumerate(cases):
        same = _alike(_told(contract, case), case["expected"])
        yield "" if same else f"answer {number}: differs from what was written"


def _sizes(contract: Contract, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width of an upright picture that is reduced and of one that is enlarged, if any is."""
    if contract.resize is None:
        margin = (0, 0) if contract.crop is None else (5, 8)
        return ((size[0] + margin[0], size[1] + margin[1]),) * 2
    target = contract.resize
    side = target.pixels if isinstance(target, ShorterSide) else max(target.size)
    # A quarter more aspect than the input has, so that a crop always fits into what a shorter side makes of it.
    aspect = 1.25 * max(size) / min(size)
    shapes = [(short, round(short * aspect) + 1) for short in (side * 5 // 4 + 2, side * 2 // 3 + 1)]
    large, small = shapes if size[0] <= size[1] else [(long, short) for short, long in shapes]
    return large, small


def _picture(contract: Contract, upright: tuple[int, int], orientation: int) -> Case:
    """A case's input: noise told by its seed, lying as its orientation says."""
    turned = (orientation if contract.orientation is None else contract.orientation) >= 5
    height, width = upright[::-1] if turned else upright
    if isinstance(contract.input, Yuv):
        chroma = 2 * ((width + 1) // 2) * ((height + 1) // 2)
        shape = [height * width + chroma]
    else:
        shape = [height, width, *CHANNELS[contract.input.format]]
    return {"orientation": orientation, "height": height, "width": width, "noise": {"shape": shape, "seed": height}}


def _prepared(case: Case, contract: Contract) -> Case:
    """The pixels before the arithmetic, and the model's input."""
    image, orientation = _image(case, contract), case["orientation"]
    turned = orient(to_rgb(image, contract), orientation if contract.orientation is None else contract.orientation)
    tensor = prepare(image, contract, orientation=orientation)
    return {"pixels": _digest(place(turned, contract)), "expected": _digest(tensor)}


def _image(case: Case, contract: Contract) -> np.ndarray | YuvImage:
    values = noise(tuple(case["noise"]["shape"]), case["noise"]["seed"])
    if isinstance(contract.input, Yuv):
        return from_buffer(values, case["height"], case["width"], contract.input)
    return values


def _digest(values: np.ndarray) -> Case:
    raw = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    return {
        "dtype": values.dtype.name,
        "shape": list(values.shape),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "data": base64.b64encode(raw[:SHOWN_BYTES]).decode("ascii"),
    }


def _answers(contract: Contract, outputs: int | None, image: tuple[int, int]) -> Iterator[Case]:
    match contract.output:
        case Classes() | Embedding() if outputs is not None:
            for seed in (11, 12):
                case: Case = {"outputs": [{"shape": [1, outputs], "seed": seed}]}
                yield {**case, "expected": _told(contract, case)}
        case Boxes(labels=labels):
            shapes = ([1, BOXES, 4], [1, BOXES, max(1, len(labels))])
            case = {"image": list(image), "outputs": [{"shape": shape, "seed": 13} for shape in shapes]}
            yield {**case, "expected": _told(contract, case)}


def _told(contract: Contract, case: Case) -> list[Any]:
    """The answer to outputs of noise, brought to -4..4; to 0..1 for a detector's."""
    boxes = isinstance(contract.output, Boxes)
    raw = [noise(tuple(output["shape"]), output["seed"]).astype(np.float32) for output in case["outputs"]]
    outputs = [values / 255 if boxes else (values - 128) / 32 for values in raw]
    found = postprocess(outputs, contract, placement(tuple(case["image"]), contract) if boxes else None)
    if isinstance(found, np.ndarray):
        return [round(float(value), 6) for value in found.ravel()]
    return [
        {
            "index": one.index,
            "label": one.label,
            "score": round(one.score, 6),
            **({"box": [round(side, 6) for side in one.box]} if isinstance(one, Detection) else {}),
        }
        for one in found
    ]


def _alike(one: Any, other: Any) -> bool:
    """Whether both say the same, floats within what mathematics libraries differ by."""
    if isinstance(one, float) and isinstance(other, float | int):
        return abs(one - other) <= SCORE_TOLERANCE * max(1.0, abs(one))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    return bool(one == other)

"""Test vectors: inputs and what the reference makes of them, for other languages to replay."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from pocketfit.contract.inputs import Matrix, PixelFormat, Range, Yuv, YuvFormat
from pocketfit.contract.json_form import contract_to_json
from pocketfit.contract.outputs import Classes, Embedding
from pocketfit.contract.sizes import Kernel
from pocketfit.contract.spec import VERSION, Contract, Dtype, Quantization
from pocketfit.data.contract.arithmetic import dequantize, luma, quantize, table
from pocketfit.data.contract.examples import CONTRACTS, DETECTORS, noise
from pocketfit.data.contract.geometry import orient, placement
from pocketfit.data.contract.postprocess import Detection, Prediction, postprocess
from pocketfit.data.contract.resize import axis_taps, resize
from pocketfit.data.contract.run import prepare
from pocketfit.data.contract.yuv import YuvImage, from_buffer, yuv_to_rgb

__all__ = ["write_vectors"]

Case = dict[str, Any]

# Up, down, mixed, to and from a single pixel, and one that stays in one direction.
SIZES = (
    ((7, 5), (3, 4)),
    ((4, 6), (9, 11)),
    ((12, 5), (5, 12)),
    ((1, 9), (4, 1)),
    ((8, 8), (8, 3)),
    ((33, 17), (5, 6)),
)

# Height, width, row stride: even, odd, and with padding behind the rows.
PLANES = ((4, 6, None), (5, 7, None), (4, 6, 8), (5, 7, 12), (1, 1, None))


# Of images, of logits, and one whose halves lie between two integers.
QUANTIZATIONS = (
    (Dtype.UINT8, Quantization(1 / 255)),
    (Dtype.UINT8, Quantization(0.0186, 114)),
    (Dtype.INT8, Quantization(0.1, -14)),
    (Dtype.INT8, Quantization(0.5, 3)),
)


def write_vectors(folder: Path) -> tuple[Path, ...]:
    """Write one JSON file a step, the same bytes every time; docs/preprocessing.md describes them.

    Args:
        folder: where to; made if it is not there.

    Returns:
        The files, in the order of the steps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_write(folder / f"{step}.json", step, cases()) for step, cases in _STEPS.items())


def _write(path: Path, step: str, cases: Iterator[Case]) -> Path:
    content = {"version": VERSION, "step": step, "cases": list(cases)}
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8", newline="\n")
    return path


def _array(values: np.ndarray) -> Case:
    """Raw bytes in base64, little-endian, the last axis fastest."""
    raw = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"))
    shape = [int(size) for size in values.shape]
    return {"dtype": values.dtype.name, "shape": shape, "data": base64.b64encode(raw.tobytes()).decode("ascii")}


def _yuv() -> Iterator[Case]:
    for (height, width, stride), format, matrix, range in product(PLANES, YuvFormat, Matrix, Range):
        buffer = _camera(height, width, stride, len(format))
        input = Yuv(format, matrix, range)
        image = from_buffer(buffer, height, width, input, stride)
        yield {
            "format": format,
            "matrix": matrix,
            "range": range,
            "height": height,
            "width": width,
            "row_stride": stride,
            "buffer": _array(buffer),
            "expected": _array(yuv_to_rgb(image, matrix, range)),
        }


def _camera(height: int, width: int, stride: int | None, seed: int) -> np.ndarray:
    """A buffer long enough for each format."""
    row = stride or width
    return noise((row * height + 2 * ((row + 1) // 2) * ((height + 1) // 2),), seed)


def _orientation() -> Iterator[Case]:
    image = noise((3, 4, 3), 1)
    for value in range(1, 9):
        yield {"orientation": value, "image": _array(image), "expected": _array(orient(image, value))}


def _resize() -> Iterator[Case]:
    for (before, after), kernel, antialias in product(SIZES, Kernel, (True, False)):
        if antialias or kernel in (Kernel.BILINEAR, Kernel.BICUBIC):
            image = noise((*before, 3), before[0])
            axes = [axis_taps(before[axis], after[axis], kernel, antialias=antialias) for axis in (0, 1)]
            yield {
                "kernel": kernel,
                "antialias": antialias,
                "size": list(after),
                "image": _array(image),
                "units": [unit for _, unit in axes],
                "rows": [_array(axes[0][0].index), _array(axes[0][0].weight)],
                "columns": [_array(axes[1][0].index), _array(axes[1][0].weight)],
                "expected": _array(resize(image, after, kernel, antialias=antialias)),
            }


def _geometry() -> Iterator[Case]:
    for contract, image in product(CONTRACTS.values(), ((20, 30), (31, 17), (24, 24))):
        where = placement(image, contract)
        yield {"contract": _contract(contract), "image": list(image), "expected": _lists(vars(where))}


def _luma() -> Iterator[Case]:
    image = noise((8, 8, 3), 5)
    yield {"image": _array(image), "expected": _array(luma(image))}


def _tables() -> Iterator[Case]:
    for contract in CONTRACTS.values():
        yield {"contract": _contract(contract), "expected": _array(table(contract))}


def _quantization() -> Iterator[Case]:
    values = (noise((200,), 15).astype(np.float32) - 128) / 8
    for dtype, numbers in QUANTIZATIONS:
        integers = quantize(values, dtype, numbers)
        yield {
            "dtype": dtype,
            "scale": numbers.scale,
            "zero_point": numbers.zero_point,
            "values": _array(values),
            "quantized": _array(integers),
            "dequantized": _array(dequantize(integers, numbers)),
        }


def _whole() -> Iterator[Case]:
    for (name, contract), orientation in product(CONTRACTS.items(), (1, 6)):
        image, described = _input(contract)
        expected = prepare(image, contract, orientation=orientation)
        yield {
            "name": name,
            "contract": _contract(contract),
            "orientation": orientation,
            "image": described,
            "expected": _array(expected),
        }


def _input(contract: Contract) -> tuple[np.ndarray | YuvImage, Case]:
    """An image as the contract wants it, and how JSON describes it."""
    if isinstance(contract.input, Yuv):
        buffer = _camera(31, 25, None, 9)
        image = from_buffer(buffer, 31, 25, contract.input)
        return image, {"height": 31, "width": 25, "row_stride": None, "buffer": _array(buffer)}
    shape = {PixelFormat.RGB: (26, 31, 3), PixelFormat.RGBA: (26, 31, 4), PixelFormat.GRAY: (26, 31)}
    pixels = noise(shape[contract.input.format], 7)
    return pixels, _array(pixels)


def _answers() -> Iterator[Case]:
    scores = (noise((1, 20), 11).astype(np.float32) - 128) / 32
    for output in (Classes(top_k=3), Classes(softmax=False, top_k=30), Embedding(), Embedding(normalise=False)):
        yield _answer(Contract(output=output), (scores,))
    boxes, probabilities = noise((1, 40, 4), 12), noise((1, 40, 3), 13)
    outputs = (boxes.astype(np.float32) / 255, probabilities.astype(np.float32) / 255)
    for contract in DETECTORS:
        yield _answer(contract, outputs, (20, 30))


def _answer(contract: Contract, outputs: tuple[np.ndarray, ...], image: tuple[int, int] | None = None) -> Case:
    found = postprocess(outputs, contract, None if image is None else placement(image, contract))
    return {
        "contract": _contract(contract),
        "image": None if image is None else list(image),
        "outputs": [_array(output) for output in outputs],
        "expected": _array(found) if isinstance(found, np.ndarray) else [_told(answer) for answer in found],
    }


def _told(answer: Prediction | Detection) -> Case:
    # Six decimals: `exp` differs in the last bits from one mathematics library to the next.
    box = {"box": [round(side, 6) for side in answer.box]} if isinstance(answer, Detection) else {}
    return {"index": answer.index, "label": answer.label, "score": round(answer.score, 6), **box}


def _contract(contract: Contract) -> Any:
    return json.loads(contract_to_json(contract))


def _lists(fields: Mapping[str, Any]) -> Case:
    return {name: list(value) for name, value in fields.items()}


_STEPS: dict[str, Callable[[], Iterator[Case]]] = {
    "yuv": _yuv,
    "orientation": _orientation,
    "resize": _resize,
    "geometry": _geometry,
    "luma": _luma,
    "tables": _tables,
    "quantization": _quantization,
    "whole": _whole,
    "answers": _answers,
}

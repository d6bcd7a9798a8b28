"""One plan against the runtimes' own quantizers: the same float model, the same 100 calibration images.

ONNX Runtime's `quantize_static` is used as its documentation recommends for a CPU (QDQ, U8 activations, S8 weights per
channel, min-max), LiteRT's ai-edge-quantizer with its static INT8 recipe.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.cases import CASES, Case
from benchmarks.real_data import cache_folder
from benchmarks.results import Row
from benchmarks.runs import dataset, held_out, outputs
from pocketfit.bundle import Bundle, read_bundle
from pocketfit.bundle.manifest import ArtifactEntry
from pocketfit.data.preprocess import batches
from pocketfit.types import Artifact, Precision
from pocketfit.verify.accuracy import evaluate

Quantizer = Callable[[Path, list[np.ndarray], Path], None]


def run() -> list[Row]:
    """One row per model, runtime and quantizer."""
    return [row for case in CASES for row in _compare(case)]


def _compare(case: Case) -> Iterator[Row]:
    bundle = _bundle(case)
    about = bundle.manifest
    data = dataset(case, about)
    images = list(batches(data.calibration, 1))
    labels = data.evaluation.labels
    assert labels is not None
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        inputs = held_out(case, about, work)
        floats = outputs(_artifact(bundle, "onnxruntime", Precision.FLOAT32), inputs, work)
        for runtime, tool, quantize in NATIVE:
            yield _ours(case, runtime, bundle)
            start = time.perf_counter()
            native = _quantized(bundle, runtime, quantize, images, work)
            seconds = time.perf_counter() - start
            accuracy = evaluate(outputs(native, inputs, work), floats, labels)
            yield _row(case, runtime, tool, accuracy.drop_points, accuracy.agreement, accuracy.samples, seconds)


def _row(
    case: Case, runtime: str, tool: str, drop: float, agreement: float, samples: int, seconds: float | None
) -> Row:
    return {
        "model": case.name,
        "runtime": runtime,
        "quantizer": tool,
        "drop_points": drop,
        "agreement": agreement,
        "samples": samples,
        "seconds": seconds,
    }


def _bundle(case: Case) -> Bundle:
    """What an earlier benchmark fitted, or a new fit."""
    known = cache_folder() / "bundles" / case.name
    return read_bundle(known if known.exists() else case.fit()[1])


def _ours(case: Case, runtime: str, bundle: Bundle) -> Row:
    entry = _entry(bundle, runtime, Precision.INT8)
    assert entry.evidence is not None and entry.evidence.accuracy is not None
    accuracy = entry.evidence.accuracy
    # One plan serves all runtimes and is timed by fit_time.
    return _row(case, runtime, "pocketfit", accuracy.drop_points, accuracy.agreement, accuracy.samples, None)


def _entry(bundle: Bundle, runtime: str, precision: Precision) -> ArtifactEntry:
    return next(one for one in bundle.manifest.artifacts if (one.runtime, one.precision) == (runtime, precision))


def _artifact(bundle: Bundle, runtime: str, precision: Precision) -> Artifact:
    return bundle.artifact(_entry(bundle, runtime, precision))


def _quantized(bundle: Bundle, runtime: str, quantize: Quantizer, images: list[np.ndarray], work: Path) -> Artifact:
    """The bundle's float32 artifact, quantized by the runtime's own tool, as an artifact that can be run."""
    floats = _artifact(bundle, runtime, Precision.FLOAT32)
    folder = work / f"native-{runtime}"
    folder.mkdir()
    path = folder / floats.files[0].name
    quantize(floats.files[0], images, path)
    return Artifact(runtime, Precision.INT8, floats.scheme, (path,), floats.input, floats.output)


def _quantize_static(source: Path, images: list[np.ndarray], target: Path) -> None:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    name = onnx.load(source).graph.input[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.samples = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.samples, None)
            return None if image is None else {name: image}

    quantize_static(
        str(source),
        str(target),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _quantize_ai_edge(source: Path, images: list[np.ndarray], target: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    signatures = Interpreter(str(source)).get_signature_list()
    key, signature = next(iter(signatures.items()))
    name = signature["inputs"][0]
    tool = quantizer.Quantizer(str(source), recipe.static_wi8_ai8())
    calibrated = tool.calibrate({key: [{name: image} for image in images]})
    target.write_bytes(tool.quantize(calibrated).quantized_model)


NATIVE: tuple[tuple[str, str, Quantizer], ...] = (
    ("onnxruntime", "quantize_static", _quantize_static),
    ("litert", "ai-edge-quantizer", _quantize_ai_edge),
)

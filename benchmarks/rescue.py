"""INT8 that breaks, and what repairs it: plain min-max, the default plan, the ladder, and other tools beside them.

All are judged as ONNX Runtime files on the same held-out images, quantized from the same float32 file with the same
calibration images. Beside drop and agreement stands how many layers run on INT8 kernels: a tool that leaves a layer in
float loses nothing there, and saves nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import peers
from benchmarks.cases import CASES, TARGETS, watched_fit
from benchmarks.real_data import cache_folder, cifar10_jpeg, imagenet_1300, mnist_npz
from benchmarks.real_sequences import mnist_test_file
from benchmarks.results import Row
from benchmarks.small_nets import EFFICIENTNET_CIFAR_INPUT, MOBILENET_V3_CIFAR_INPUT
from benchmarks.super_resolution import rows as super_resolution_rows
from pocketfit.bundle import read_bundle
from pocketfit.compress.quantize.ladder import Target
from pocketfit.compress.quantize.ranges import Ranges
from pocketfit.compress.quantize.recipe import Granularity, Recipe
from pocketfit.contract import Contract
from pocketfit.data.load import load_data
from pocketfit.data.preprocess import batches
from pocketfit.pipeline import FitRequest
from pocketfit.rescuing import Rescue
from pocketfit.types import FitResult, Precision
from pocketfit.verify.accuracy import evaluate

# Stages that are measured anew in each run; exported models and decoded images are kept.
MEASURED = ("calibrate", "plan", "rescue")

PEERS: tuple[tuple[str, dict[str, bool | int | str]], ...] = (
    ("onnxruntime", {}),
    ("nncf", {}),
    ("nncf", {"fast_bias_correction": False}),
    ("aimet", {}),
    ("aimet", {"fuse_depthwise": True}),
)


@dataclass(frozen=True)
class Subject:
    """A network with its data.

    Args:
        name: in the table.
        model: as `pocketfit quantize` takes it.
        data: likewise.
        shape: of the input without the batch.
        preprocess: None for data that is fed as it is.
        evaluation: held-out samples at most.
        target: of the ladder.
        methods: names of our rows beside the ladder's.
        with_peers: whether the other tools run too.
    """

    name: str
    model: str
    data: str
    shape: tuple[int, ...]
    preprocess: Contract | None
    evaluation: int | None = None
    target: Target = Target()  # noqa: RUF009, frozen
    with_peers: bool = True

    def request(self, rescue: Rescue | None, targets: tuple[str, ...] = ("onnxruntime",)) -> FitRequest:
        """Quantize it with that ladder, or with the default plan."""
        out = cache_folder() / "bundles" / f"rescue-{self.name}"
        out.parent.mkdir(parents=True, exist_ok=True)
        return FitRequest(
            model=self.model,
            data=self.data,
            out=out,
            input_shape=self.shape,
            preprocess=self.preprocess,
            targets=targets,
            precisions=(Precision.FLOAT32, Precision.INT8),
            evaluation_samples=self.evaluation,
            keep_all=True,
            cache=_stages(),
            rescue=rescue,
        )


def run() -> Iterator[Row]:
    """One row per network, method and tool."""
    for stage in MEASURED:
        shutil.rmtree(_stages() / stage, ignore_errors=True)
    *small, large = _subjects()
    for subject in small:
        yield from _compare(subject)
    for subject in _sequences():
        yield from _everywhere(subject)
    yield from super_resolution_rows()
    yield from _compare(large)


def _stages() -> Path:
    return cache_folder() / "rescue-stages"


def _subjects() -> tuple[Subject, ...]:
    mobilenet = CASES[0]
    cifar = str(cifar10_jpeg()[1])
    nets = "benchmarks.small_nets"
    return (
        Subject("mobilenet_v3_cifar", f"{nets}:mobilenet_v3_cifar", cifar, (3, 32, 32), MOBILENET_V3_CIFAR_INPUT, 4000),
        Subject("efficientnet_cifar", f"{nets}:efficientnet_cifar", cifar, (3, 32, 32), EFFICIENTNET_CIFAR_INPUT, 4000),
        Subject(
            mobilenet.name,
            f"benchmarks.real_models:{mobilenet.name}",
            str(imagenet_1300()),
            (3, 224, 224),
            mobilenet.preprocess,
            target=Target(0.5, 0.985),
        ),
    )


def _sequences() -> tuple[Subject, ...]:
    vit = str(mnist_npz())
    return (
        Subject("mnist_lstm", "benchmarks.real_sequences:mnist_lstm", str(mnist_test_file()), (28, 28), None, 2000),
        Subject("small_vit", "benchmarks.small_nets:small_vit", vit, (1, 28, 28), None, 1500),
    )


def _everywhere(subject: Subject) -> Iterator[Row]:
    """The default plan in every runtime."""
    result = watched_fit(subject.request(None, TARGETS))
    for runtime in TARGETS:
        yield _ours(subject, f"default plan, {runtime}", result, runtime)


def _compare(subject: Subject) -> Iterator[Row]:
    methods = {
        "min-max, nothing corrected": Rescue(recipe=Recipe(ranges=Ranges.MIN_MAX), steps=()),
        "default plan": None,
        "ladder": Rescue(target=subject.target),
    }
    for method, rescue in methods.items():
        yield _ours(subject, method, watched_fit(subject.request(rescue)))
    if subject.name == "mobilenet_v2":
        rescue = Rescue(target=Target(0.5, 0.98))
        yield _ours(subject, "ladder, symmetric", watched_fit(subject.request(rescue, ("ncnn",))), "ncnn")
        per_tensor = Rescue(recipe=Recipe(granularity=Granularity.PER_TENSOR), target=Target(1.0, 0.9))
        yield _ours(subject, "ladder, per-tensor weights", watched_fit(subject.request(per_tensor)))
    if subject.with_peers:
        watched_fit(subject.request(None))  # the float32 file and the bundle that the peers start from
        yield from _peers(subject)


def _ours(subject: Subject, method: str, result: FitResult, runtime: str = "onnxruntime") -> Row:
    evidence = next(
        row.evidence for row in result.candidates if row.precision is Precision.INT8 and row.runtime == runtime
    )
    assert evidence is not None and evidence.accuracy is not None and evidence.kernels is not None
    accuracy = evidence.accuracy
    planning = [one.seconds for one in result.stages if one.stage.partition(" ")[0] in MEASURED]
    steps = " → ".join(rung.name for rung in result.rungs if rung.kept)
    return _row(subject, method, "pocketfit", accuracy.drop_points, accuracy.agreement, sum(planning)) | {
        "float_top1": accuracy.float_value,
        "samples": accuracy.samples,
        "steps": steps or None,
        "size_bytes": evidence.size_bytes,
        "int8_layers": evidence.kernels.int8,
        "layers": evidence.kernels.total,
    }


def _row(subject: Subject, method: str, tool: str, drop: float, agreement: float, seconds: float) -> Row:
    return {
        "model": subject.name,
        "method": method,
        "tool": tool,
        "drop_points": drop,
        "agreement": agreement,
        "seconds": seconds,
    }


def _peers(subject: Subject) -> Iterator[Row]:
    request = subject.request(None)
    assert request.out is not None
    bundle = read_bundle(request.out)
    entry = next(one for one in bundle.manifest.artifacts if one.precision is Precision.FLOAT32)
    path = bundle.artifact(entry).files[0]
    data = load_data(
        subject.data,
        preprocess=subject.preprocess,
        input_shape=subject.shape,
        cache=_stages() / "images",
        calibration=request.calibration_samples,
        evaluation=subject.evaluation,
    )
    calibration, held_out = (np.concatenate(list(batches(one, 50))) for one in (data.calibration, data.evaluation))
    floats = _float_outputs(path, held_out)
    assert data.evaluation.labels is not None
    for tool, options in PEERS:
        try:
            result = peers.quantize(tool, path, calibration, held_out, options)
        except peers.PeerError as error:
            yield {"model": subject.name, "method": str(options), "tool": tool, "failure": str(error)[-300:]}
            continue
        accuracy = evaluate(result.outputs, floats, data.evaluation.labels)
        row = _row(
            subject,
            result.method,
            f"{tool} {result.version}",
            accuracy.drop_points,
            accuracy.agreement,
            result.seconds,
        )
        yield row | {"samples": accuracy.samples, "int8_layers": result.int8_layers, "layers": result.layers}


def _float_outputs(path: Path, inputs: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    outputs: np.ndarray = np.concatenate([session.run(None, {name: one[None]})[0] for one in inputs])
    return outputs

"""The frozen dataclasses that travel between rooms.

    source ─load→ LoadedModel ─calibrate→ QuantizationPlan ─→ Variant ─convert→ Artifact ─verify/measure→ Evidence
           ─choose→ Choice ─pack→ Bundle

Only standard-library types here and the preprocessing contract, so that importing this module is cheap; torch appears
in annotations alone.
Arrays are numpy, images NCHW, sizes in bytes, times in milliseconds, drops in the unit of the
metric: percentage points for one in per cent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias, runtime_checkable

from pocketfit.contract import Contract

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = [
    "Accelerated",
    "Acceleration",
    "Accuracy",
    "ActivationMemory",
    "ActivationPlan",
    "Artifact",
    "Budget",
    "Candidate",
    "Choice",
    "Evidence",
    "Failure",
    "FitResult",
    "InputShape",
    "KernelUse",
    "Latency",
    "LayerPlan",
    "LayerQuality",
    "LoadedModel",
    "MemoryTelling",
    "MetricInfo",
    "NotRun",
    "Parity",
    "Precision",
    "QuantizationPlan",
    "Rung",
    "Runtime",
    "RuntimeInfo",
    "RuntimeOption",
    "Samples",
    "Scheme",
    "Score",
    "Session",
    "StageTime",
    "TensorSpec",
    "Traceable",
    "Variant",
]


class Precision(StrEnum):
    """How numbers are stored: float32; float16 weights; int8 weights and activations."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


class Scheme(StrEnum):
    """How a runtime expresses INT8 activations.

    AFFINE has a zero point and quantizes every tensor of the graph; SYMMETRIC is ±127 around zero and quantizes the
    inputs of convolutions and linear layers only (what ncnn can express).
    """

    AFFINE = "affine"
    SYMMETRIC = "symmetric"


@dataclass(frozen=True)
class TensorSpec:
    """A graph input or output: its name, its shape with batch 1, and its dtype as numpy spells it."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


# Of one sample: a shape without the batch, or one for each of several inputs.
InputShape: TypeAlias = tuple[int, ...] | tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class LoadedModel:
    """A float model in its canonical form.

    Args:
        name: short name for tables and file names.
        source: what the user wrote, for the report.
        graph: aten graph from `torch.export`, in eval mode, batch-norm folded, dropout removed.
        input: the first input, images NCHW, with batch 1.
        output: the first output, with batch 1; metrics are computed on it.
        dynamic_batch: whether `graph` takes any batch size; otherwise it takes 1.
        fingerprint: sha256 over the graph's structure and weights.
        preprocess: what the model says of its own preprocessing, if anything.
        more_outputs: those behind the first, in the order in which the graph returns them.
        more_inputs: those behind the first, in the order in which the graph takes them.
    """

    name: str
    source: str
    graph: torch.fx.GraphModule
    input: TensorSpec
    output: TensorSpec
    dynamic_batch: bool
    fingerprint: str
    preprocess: Contract | None = None
    more_outputs: tuple[TensorSpec, ...] = ()
    more_inputs: tuple[TensorSpec, ...] = ()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """All of them, in order."""
        return (self.input, *self.more_inputs)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """All of them, in order."""
        return (self.output, *self.more_outputs)

    @property
    def input_shape(self) -> InputShape:
        """Without the batch: of the only input, or of each of several."""
        first, *more = (spec.shape[1:] for spec in self.inputs)
        return (first, *more) if more else first

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of a sample between rooms: that of the only input, or of all of them flattened behind one another."""
        if not self.more_inputs:
            return self.input.shape[1:]
        return (sum(math.prod(spec.shape) for spec in self.inputs),)


@dataclass(frozen=True)
class Samples:
    """A set of samples, ready for the numeric half of the preprocessing.

    Args:
        inputs: uint8 N×H×W×3 images after the geometry, or float32 N×(the model's `row_shape`) taken as they are.
        labels: what the metric compares with, N×…: int64 class indices of length N for one about classes; None where it
            is unknown (calibration never has any).
        preprocess: applied batch by batch to uint8 inputs; None for float inputs.
        classes: class names by index; empty when unknown.
        fingerprint: sha256 over inputs, labels and preprocessing.
    """

    inputs: np.ndarray
    labels: np.ndarray | None
    preprocess: Contract | None
    classes: tuple[str, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True)
class ActivationPlan:
    """The numbers of one INT8 activation tensor.

    Affine: `q = clip(round(x / scale) + zero_point, 0, 255)`; a runtime with signed storage subtracts 128 from both.
    Symmetric: `q = clip(round(x / symmetric_scale), -127, 127)`.
    Sixteen bits: `q = clip(round(x / scale), -32767, 32767)` in both schemes; the zero point is 0.

    Args:
        minimum: smallest value seen in calibration.
        maximum: largest value seen in calibration.
        scale: affine scale, positive.
        zero_point: affine zero point, 0..255.
        symmetric_scale: symmetric scale, positive; equal to `scale` with sixteen bits.
        group: tensors with the same group share one scale because an op between them cannot requantize.
        bits: 8 or 16.
    """

    minimum: float
    maximum: float
    scale: float
    zero_point: int
    symmetric_scale: float
    group: str = ""
    bits: int = 8


@dataclass(frozen=True)
class LayerPlan:
    """The numbers of one layer with weights.

    A layer whose input tensor has no `ActivationPlan` computes in float with weights restored from integers
    (weight-only), or quantizes its input at run time when `dynamic`. In an INT8 plan too, a layer without scales stores
    its weight in half.

    Args:
        op: aten name, such as `conv2d` or `linear`.
        source: dotted module path in the user's model, where it is known.
        weight: attribute path of the float weight in the canonical graph.
        axis: the output-channel axis of that weight.
        weight_scales: one positive scale per output channel, all equal where weights are quantized per tensor;
            `q = clip(round(w / scale), -127, 127)`, ±7 with 4 bits. Empty: the weight is rounded to half.
        bias: corrected float bias per scheme; empty where the layer keeps its own.
        weight_bits: 8 or 4.
        dynamic: whether the input's range is taken from each sample at run time.
    """

    op: str
    source: str
    weight: str
    axis: int
    weight_scales: tuple[float, ...]
    bias: Mapping[Scheme, tuple[float, ...]] = field(default_factory=dict)
    weight_bits: int = 8
    dynamic: bool = False


@dataclass(frozen=True)
class QuantizationPlan:
    """What every runtime is given, instead of calibrating on its own.

    Args:
        precision: float32, float16 (weights rounded to half, arithmetic in float32) or int8; an int8 plan may leave
            layers and tensors in float.
        model_fingerprint: the model these numbers belong to.
        data_fingerprint: the calibration samples they came from; empty for float plans.
        samples: number of calibration samples.
        activations: by graph node name; a tensor that is absent stays float.
        layers: by graph node name; a layer that is absent stays float.
        notes: decisions a reader should know, in plain sentences.
    """

    precision: Precision
    model_fingerprint: str
    data_fingerprint: str = ""
    samples: int = 0
    activations: Mapping[str, ActivationPlan] = field(default_factory=dict)
    layers: Mapping[str, LayerPlan] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """A model together with the plan it is to be deployed with.

    Args:
        model: in canonical form.
        plan: its numbers.
        options: values of the runtime's own `RuntimeInfo.options` by name; one that is absent has its default.
    """

    model: LoadedModel
    plan: QuantizationPlan
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KernelUse:
    """How many of the compute ops (convolutions, linear layers, matrix products) run on INT8 kernels.

    Args:
        int8: number of compute ops on INT8 kernels.
        total: number of compute ops.
        how: where the figure was read, such as "ops in the optimised graph".
    """

    int8: int
    total: int
    how: str


@dataclass(frozen=True)
class Artifact:
    """What a converter wrote: the files of one runtime in one precision.

    Args:
        runtime: name of the runtime.
        precision: precision of the plan it was made from.
        scheme: how its INT8 activations are expressed; meaningless for float artifacts.
        files: the main file first; all in one folder. A file may be a folder that is shipped as one thing, such as
            Core ML's `.mlpackage`.
        input: name, shape and dtype as the runtime sees them.
        output: likewise.
        versions: converter packages and their versions.
        notes: what the converter could not express, in plain sentences.
        options: what it was made with and is to be opened with, by name of a `RuntimeOption`.
        kernels: which kernels its compute ops can be given, read from the files; needed of a runtime that does not run
            on every host, and None where `Session.kernels` tells it.
        more_outputs: those behind the first, in the order of the model's.
        more_inputs: likewise.
    """

    runtime: str
    precision: Precision
    scheme: Scheme
    files: tuple[Path, ...]
    input: TensorSpec
    output: TensorSpec
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    kernels: KernelUse | None = None
    more_outputs: tuple[TensorSpec, ...] = ()
    more_inputs: tuple[TensorSpec, ...] = ()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """All of them, in the order in which a session takes them."""
        return (self.input, *self.more_inputs)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """All of them, in the order in which a session returns them."""
        return (self.output, *self.more_outputs)

    @property
    def size_bytes(self) -> int:
        """Bytes on disk of all files together, those inside folders included."""
        inside = (part for path in self.files for part in (path, *path.rglob("*")))
        return sum(part.stat().st_size for part in inside if part.is_file())


class Session(Protocol):
    """An opened artifact."""

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Run once: all float32 inputs with batch 1, in the model's layout (NCHW); all float32 outputs likewise."""
        ...

    def kernels(self) -> KernelUse:
        """Say which kernels the compute ops were given."""
        ...


@dataclass(frozen=True)
class Acceleration:
    """What a session runs on.

    Args:
        asked: the delegate that the artifact was made for, as its options have it.
        used: what it runs on: the delegate, or "cpu" where that is not to be had.
        device: as its driver names it; empty where nothing names it.
        software: whether the driver computes on the CPU, so that its speed says nothing of a GPU's.
        ops: ops that the delegate took, and all ops; None where the runtime does not tell.
        reason: why the delegate is not used; empty where it is.
    """

    asked: str
    used: str
    device: str = ""
    software: bool = False
    ops: tuple[int, int] | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.used != self.asked:
            return f"made for {self.asked}, run on the CPU: {self.reason}"
        parts = [f"run on {self.used}"]
        parts += [self.device] if self.device else []
        parts += ["a software driver: its speed says nothing of a GPU's"] if self.software else []
        parts += ["{} of {} ops on it".format(*self.ops)] if self.ops else []
        return ", ".join(parts)


@runtime_checkable
class Accelerated(Protocol):
    """What a session may be besides: able to tell what it really runs on."""

    def acceleration(self) -> Acceleration:
        """Tell what was asked for, and what came of it here."""
        ...


@dataclass(frozen=True)
class RuntimeOption:
    """One thing that a user may ask of a runtime, such as the accelerator to run on.

    Args:
        name: lower case, words joined by hyphens; the command line has an option of that name.
        values: all that it may be; the first is the default.
        meaning: one sentence.
    """

    name: str
    values: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class RuntimeInfo:
    """What a runtime is and can do; readable without importing any of its packages.

    Args:
        name: as users write it in `--targets`.
        title: as its makers write it.
        extra: the pip extra that installs it; empty when it comes with the core.
        packages: distributions that must be installed to convert and run.
        suffix: of the artifact's main file.
        precisions: what it can store.
        scheme: how it expresses INT8 activations.
        platforms: where the artifact runs.
        delegates: accelerators it knows, for information.
        note: one sentence on what makes it special.
        weight_bits: of integer weights in its files; a weight of fewer bits is stored in the next wider of these, with
            the same values.
        activation_bits: of static activations in an INT8 plan.
        int8_layers: ops that it computes on 8-bit activations, as `LayerPlan.op` spells them.
        weight_only: whether it takes integer weights into layers whose inputs are float.
        dynamic: ops whose input it can quantize at run time.
        dynamic_rows: whether it does so row by row; a layer that multiplies several rows of one sample at once, for
            which the plan means one range, is not dynamic there.
        hosts: operating systems on which its sessions run, of linux, macos and windows; elsewhere it converts only.
        options: what a user may ask of it; read from `Variant.options`, recorded in `Artifact.options`.
    """

    name: str
    title: str
    extra: str
    packages: tuple[str, ...]
    suffix: str
    precisions: tuple[Precision, ...]
    scheme: Scheme
    platforms: tuple[str, ...]
    delegates: tuple[str, ...] = ()
    note: str = ""
    weight_bits: tuple[int, ...] = (8,)
    activation_bits: tuple[int, ...] = (8,)
    int8_layers: tuple[str, ...] = ("conv1d", "conv2d", "linear")
    weight_only: bool = False
    dynamic: tuple[str, ...] = ()
    dynamic_rows: bool = False
    hosts: tuple[str, ...] = ("linux", "macos", "windows")
    options: tuple[RuntimeOption, ...] = ()


class Runtime(Protocol):
    """One mobile runtime: how to write its files and how to run them."""

    info: ClassVar[RuntimeInfo]

    def convert(self, variant: Variant, out: Path) -> Artifact:
        """Write the variant into the existing folder `out`.

        Raises:
            ConversionError: naming the op where it is known.
        """
        ...

    def open(self, artifact: Artifact, *, threads: int = 1) -> Session:
        """Load the artifact for inference on this host with that many threads.

        Raises:
            RuntimeMissing: this host is none of `info.hosts`.
        """
        ...


@runtime_checkable
class Traceable(Protocol):
    """What a runtime may be besides: able to show the tensors inside an artifact, for `pocketfit verify --layers`."""

    def tensors(self, artifact: Artifact, sample: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Run one sample and give every tensor on the way, each after those it was computed from, the input first.

        Args:
            artifact: to be run, with nothing fused that can be kept apart.
            sample: float32 with batch 1, in the model's layout (NCHW).

        Yields:
            The tensor's name in the artifact and its values in float32, in the runtime's own layout; integers are
            restored with their scale. Constants are left out, and so is a tensor that is only read to be quantized:
            what the next layers read is that tensor restored.
        """
        ...


@dataclass(frozen=True)
class ActivationMemory:
    """What a runtime itself says of the memory that an artifact's activations take.

    Args:
        bytes: of one inference.
        how: what was asked, and what is counted beside activations or left out.
    """

    bytes: int
    how: str


@runtime_checkable
class MemoryTelling(Protocol):
    """What a runtime may be besides: able to tell its activation memory, for `pocketfit inspect --runtimes`."""

    def activation_memory(self, artifact: Artifact) -> ActivationMemory | None:
        """What the runtime says, running the artifact once where it has to; None where this version does not tell."""
        ...


@dataclass(frozen=True)
class Parity:
    """An artifact's output against the simulation of the very plan it was made from.

    Args:
        max_error: largest absolute difference over all outputs and samples.
        mean_error: mean absolute difference.
        cosine: mean over samples of the cosine between the two output vectors.
        sqnr_db: signal (simulation) to difference, in decibel, over all outputs; infinite when they are identical.
        agreement: share of samples, 0..1, on which the largest output is the same.
        samples: number of samples.
    """

    max_error: float
    mean_error: float
    cosine: float
    sqnr_db: float
    agreement: float
    samples: int


@dataclass(frozen=True)
class MetricInfo:
    """What a figure for the task is.

    Args:
        name: such as "top-1", "miou" or "psnr".
        unit: "%", "dB" or another one; empty for a figure without, or in the unit of the data.
        higher_is_better: or lower, as of an error.
        answers: whether it is about one class a sample: targets are the classes that the first output answers, which a
            training may learn from, and two models agree on a sample or do not.
    """

    name: str = "top-1"
    unit: str = "%"
    higher_is_better: bool = True
    answers: bool = False

    def worse(self, before: float, after: float) -> float:
        """How much worse the figure has become; negative where it is better."""
        return before - after if self.higher_is_better else after - before


@dataclass(frozen=True)
class Accuracy:
    """The task metric on held-out data, paired with the float model on the same samples.

    Args:
        metric: such as "top-1" or "psnr".
        value: this artifact, in the metric's unit.
        float_value: the float model in torch.
        drop_points: how much worse it is than the float model, in the metric's unit, percentage points for per cent;
            negative when the artifact is better, whichever direction is good.
        drop_low: lower end of the 95% confidence interval of the drop.
        drop_high: upper end.
        agreement: share of samples, 0..1, answered as the float model answers them; None for a metric that is not about
            one answer a sample.
        samples: number of samples.
        unit: of the metric: "%", "dB", another one, or empty.
    """

    metric: str
    value: float
    float_value: float
    drop_points: float
    drop_low: float
    drop_high: float
    agreement: float | None
    samples: int
    unit: str = "%"


@dataclass(frozen=True)
class Latency:
    """Time of one inference after warm-up: median and 90th percentile in milliseconds, and where it was measured."""

    threads: int
    median_ms: float
    p90_ms: float
    runs: int
    where: str


@dataclass(frozen=True)
class Evidence:
    """What is known of an artifact because it was run.

    Args:
        parity: against the plan's simulation.
        accuracy: None when the data has no labels.
        latencies: one per thread count.
        peak_memory_bytes: resident memory added by opening and running the artifact in a fresh process.
        kernels: whether INT8 kernels really run.
        size_bytes: all files together.
    """

    parity: Parity
    accuracy: Accuracy | None
    latencies: tuple[Latency, ...]
    peak_memory_bytes: int
    kernels: KernelUse
    size_bytes: int

    def median_ms(self, threads: int = 1) -> float:
        """Median latency in milliseconds with that many threads."""
        return next(latency.median_ms for latency in self.latencies if latency.threads == threads)


@dataclass(frozen=True)
class Failure:
    """Why a candidate has no evidence: the stage that failed, the reason, and what to do."""

    stage: str
    reason: str
    hint: str = ""


@dataclass(frozen=True)
class NotRun:
    """What is known of an artifact that was converted, but cannot be run on this host.

    Args:
        reason: why not, and where it runs.
        size_bytes: all files together.
        kernels: what the files say.
    """

    reason: str
    size_bytes: int
    kernels: KernelUse | None = None


@dataclass(frozen=True)
class Candidate:
    """One row of the table: a runtime in a precision.

    Args:
        runtime: name of the runtime.
        precision: of the plan.
        artifact: None where it could not be converted.
        evidence: what is known because it was run.
        failure: why there is no evidence, where something went wrong.
        notes: what the runtime cannot express, in plain sentences.
        not_run: what is known instead of evidence where nothing went wrong, but this host cannot run the artifact.
    """

    runtime: str
    precision: Precision
    artifact: Artifact | None = None
    evidence: Evidence | None = None
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    not_run: NotRun | None = None


@dataclass(frozen=True)
class Budget:
    """What the user allows; None means no limit.

    Args:
        max_drop_points: accuracy drop against float, in the unit of the metric: percentage points for per cent.
        max_size_bytes: size of the artifact.
        max_memory_bytes: resident memory that opening and running it adds to a process.
    """

    max_drop_points: float | None = None
    max_size_bytes: int | None = None
    max_memory_bytes: int | None = None


@dataclass(frozen=True)
class Choice:
    """The artifact chosen for a runtime and why; `precision` is None when nothing fits the budget."""

    runtime: str
    precision: Precision | None
    reason: str


@dataclass(frozen=True)
class LayerQuality:
    """How well one tensor survives quantization.

    Args:
        name: node name in the canonical graph.
        op: aten name.
        source: dotted module path in the user's model, where it is known.
        sqnr_db: float tensor against the same tensor in the simulated INT8 graph, everything before it quantized.
    """

    name: str
    op: str
    source: str
    sqnr_db: float


@dataclass(frozen=True)
class Score:
    """How a quantized model answers the held-out samples, by simulation; the worst of the schemes that were asked for.

    Args:
        drop_points: how much worse than the float model by the metric, in its unit; None without labels.
        agreement: share of samples, 0..1, answered as the float model answers them.
        sqnr_db: float outputs against their difference, in decibel.
        divergence: mean Kullback-Leibler divergence from the float model's softmax, in nats, where the model answers
            one row of classes; noise over signal elsewhere. Smaller is better, and steadier than `agreement`.
        samples: number of samples.
    """

    drop_points: float | None
    agreement: float
    sqnr_db: float
    divergence: float
    samples: int


@dataclass(frozen=True)
class Rung:
    """One step of the rescue ladder.

    Args:
        name: such as "bias correction".
        score: of what came of it.
        kept: whether the steps after it went on from it; otherwise it did not help and was dropped.
        seconds: wall-clock time of the step with its evaluation.
        notes: what was decided, in plain sentences.
    """

    name: str
    score: Score
    kept: bool
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageTime:
    """Wall-clock seconds of a stage; `reused` when its stored result was taken."""

    stage: str
    seconds: float
    reused: bool


@dataclass(frozen=True)
class FieldDevice:
    """What suits one device of the field best, of the artifacts that fit the budget.

    Latency and memory are predicted from the device's profile; accuracy and size are the artifact's own.

    Args:
        tier: "high", "mid" or "low".
        device: name of the profile.
        runtime: of the artifact; None where nothing is known of any on this device.
        precision: likewise.
        processor: "cpu", "gpu" or "npu": the delegate.
        threads: on the CPU.
        ms: predicted time of one inference; None where nothing is known.
        low_ms: 5 % of cases are expected below.
        high_ms: 5 % of cases are expected above.
        memory_bytes: predicted weights and activations at their peak, without the runtime's own.
        accuracy: in the metric's unit; None without labels, or where the artifact was not run.
        drop_points: how much worse that is than the float model.
        size_bytes: of the artifact's files.
    """

    tier: str
    device: str
    runtime: str | None = None
    precision: Precision | None = None
    processor: str = ""
    threads: int = 1
    ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    memory_bytes: int | None = None
    accuracy: float | None = None
    drop_points: float | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class FitResult:
    """Everything a report needs.

    Args:
        model: name of the model.
        source: what the user wrote.
        input: shape, dtype and name of the first input.
        parameters: number of parameters.
        macs: multiply-accumulates of one inference.
        preprocess: the recorded preprocessing; None when the data is fed as it is.
        calibration_samples: number of unlabelled samples the plan came from.
        evaluation_samples: number of held-out samples.
        float_value: of the float model in torch, in the metric's unit; None without labels.
        budget: what was asked.
        candidates: the table.
        choices: one per runtime.
        layers: sensitivity per scheme.
        notes: decisions, in plain sentences.
        stages: time per stage.
        host: what machine measured, in words.
        versions: of Pocketfit, Python, torch and the runtimes.
        rungs: what each step of the rescue ladder gained; empty where none was climbed.
        metric: what the task is judged by.
        more_inputs: those behind the first.
        field: what suits which phone, where tiers were asked for.
    """

    model: str
    source: str
    input: TensorSpec
    parameters: int
    macs: int
    preprocess: Contract | None
    calibration_samples: int
    evaluation_samples: int
    float_value: float | None
    budget: Budget
    candidates: tuple[Candidate, ...]
    choices: tuple[Choice, ...]
    layers: Mapping[Scheme, tuple[LayerQuality, ...]]
    notes: tuple[str, ...]
    stages: tuple[StageTime, ...]
    host: str
    versions: Mapping[str, str]
    rungs: tuple[Rung, ...] = ()
    metric: MetricInfo = MetricInfo(answers=True)
    more_inputs: tuple[TensorSpec, ...] = ()
    field: tuple[FieldDevice, ...] = ()

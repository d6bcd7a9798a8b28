"""ONNX Runtime: QDQ models whose integers are the plan's own.

Activations are unsigned: with them and the quantization after the fused activation, ONNX Runtime turns every
convolution into one integer kernel; signed activations leave it slower than float on x86.
Float16 stores the weights of layers in half and widens them when the session is created, so the file halves and the
arithmetic, as everywhere on a CPU, stays float32. In a mixed INT8 plan, weights of 4 bits and those of weight-only and
half layers are stored just so; 16-bit activations are INT16 between QuantizeLinear and DequantizeLinear, and compute in
float32 on a CPU; dynamic linear layers run on integer kernels.
A delegate is an execution provider: used where this build of ONNX Runtime has it, with the CPU for what it leaves.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pocketfit.rows import apart
from pocketfit.runtimes.batch import batch_option
from pocketfit.runtimes.delegates import (
    CPU,
    DELEGATE,
    asked_delegate,
    delegate_notes,
    delegate_option,
    on_cpu,
    with_delegate,
)
from pocketfit.runtimes.names import named
from pocketfit.runtimes.onnx_format import keep_float, quantize_at_run_time, store_weights, take_uint8
from pocketfit.runtimes.onnx_profile import profiled_memory
from pocketfit.runtimes.options import accepted_options
from pocketfit.runtimes.pixels import input_dtype, input_type_option, takes_pixels
from pocketfit.types import (
    Acceleration,
    ActivationMemory,
    Artifact,
    KernelUse,
    Precision,
    RuntimeInfo,
    Scheme,
    Variant,
)

if TYPE_CHECKING:
    import numpy as np
    import onnx

__all__ = ["OnnxRuntime"]

# The first opset whose QuantizeLinear knows every type used here, and the newest that all mobile builds accept.
OPSET = 20
# The first with INT16 activations and INT4 weights; ONNX Runtime knows it since 1.18.
OPSET_MIXED = 21

_CPU_PROVIDER = "CPUExecutionProvider"
_PROVIDERS = {
    "xnnpack": "XnnpackExecutionProvider",
    "nnapi": "NnapiExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "qnn": "QNNExecutionProvider",
}

_INT8_OPS = frozenset(
    {
        "ConvInteger",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QGemm",
        "QLinearConv",
        "QLinearMatMul",
    }
)
_FLOAT_OPS = frozenset({"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "ConvTranspose"})


class OnnxRuntime:
    """Converts through `torch.onnx` and runs on ONNX Runtime's CPU provider, or on the one that is asked for."""

    info: ClassVar[RuntimeInfo] = RuntimeInfo(
        name="onnxruntime",
        title="ONNX Runtime",
        extra="",
        packages=("onnx", "onnxruntime", "onnxscript"),
        suffix=".onnx",
        precisions=(Precision.FLOAT32, Precision.FLOAT16, Precision.INT8),
        scheme=Scheme.AFFINE,
        platforms=("android", "ios", "linux", "macos", "windows"),
        delegates=tuple(_PROVIDERS),
        note="INT8 as QDQ with unsigned activations",
        weight_bits=(8, 4),
        activation_bits=(8, 16),
        weight_only=True,
        dynamic=("linear",),
        options=(delegate_option(*_PROVIDERS), batch_option(), input_type_option()),
    )

    def convert(self, variant: Variant, out: Path) -> Artifact:
        """Write `model.onnx`: opset 20, or 21 with INT16 or INT4; batch 1 or dynamic, float32 inputs and outputs."""
        options = accepted_options(variant, self.info)
        program = _export(variant, options)
        kept = _store_weights(program, variant)
        if takes_pixels(options):
            take_uint8(program)
        path = out / "model.onnx"
        path.write_bytes(program.SerializeToString(deterministic=True))
        given, *others = named(variant.model.inputs, [given.name for given in program.graph.input])
        output, *more = named(variant.model.outputs, [output.name for output in program.graph.output])
        return Artifact(
            runtime=self.info.name,
            precision=variant.plan.precision,
            scheme=self.info.scheme,
            files=(path,),
            input=replace(given, dtype=input_dtype(options)),
            output=output,
            versions={package: metadata.version(package) for package in ("torch", *self.info.packages)},
            notes=(*_notes(kept), *delegate_notes(options[DELEGATE])),
            options=options,
            more_outputs=tuple(more),
            more_inputs=tuple(others),
        )

    def open(self, artifact: Artifact, *, threads: int = 1) -> _Session:
        """Load with every graph optimisation on, for the artifact's delegate where this build has it."""
        return _Session(artifact, threads)

    def activation_memory(self, artifact: Artifact) -> ActivationMemory | None:
        """Run with ONNX Runtime's profiler on."""
        return profiled_memory(_silent_onnxruntime(), artifact)

    def tensors(self, artifact: Artifact, sample: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Run with every graph optimisation off, so that nothing is fused: INT8 layers compute in restored floats."""
        import onnx

        onnxruntime = _silent_onnxruntime()
        model = onnx.load(artifact.files[0])
        names = _shown(model.graph)
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[_CPU_PROVIDER])
        feed = _feed(artifact, apart(sample, artifact.inputs))
        yield from feed.items()
        for name, values in zip(names, session.run(None, feed), strict=True):
            if values.dtype == sample.dtype:
                yield name, values


def _notes(kept: Sequence[str]) -> Iterator[str]:
    return (f"stored in float32 because torch.onnx changed the weight: {name}" for name in kept)


def _export(variant: Variant, options: Mapping[str, str]) -> onnx.ModelProto:
    from pocketfit.compress.quantize.lower import Activations, Weights, lower
    from pocketfit.runtimes.onnx_export import export_onnx

    graph = lower(variant.model.graph, variant.plan, Activations.UNSIGNED, Weights.INTEGER)
    return export_onnx(graph, variant.model, options, runtime="onnxruntime", opset=_opset(variant))


def _opset(variant: Variant) -> int:
    wide = any(activation.bits == 16 for activation in variant.plan.activations.values())
    narrow = any(layer.weight_bits == 4 for layer in variant.plan.layers.values())
    return OPSET_MIXED if wide or narrow else OPSET


def _store_weights(program: onnx.ModelProto, variant: Variant) -> tuple[str, ...]:
    """Store weights as narrow as the plan has them; return the layers whose weights the exporter changed."""
    from pocketfit.runtimes.stored_weights import stored_weights

    weights = stored_weights(variant)
    dynamic = {name: weight for name, weight in weights.items() if weight.is_dynamic}
    quantize_at_run_time(program, dynamic)
    if variant.plan.precision is Precision.INT8:
        keep_float(program)
    return store_weights(program, {name: weight for name, weight in weights.items() if name not in dynamic})


def _shown(graph: onnx.GraphProto) -> list[str]:
    """Tensors that depend on the input, in the order of the graph, but for those that are only read to be quantized."""
    readers: defaultdict[str, set[str]] = defaultdict(set)
    for node in graph.node:
        for name in node.input:
            readers[name].add(node.op_type)
    computed = dict.fromkeys(value.name for value in graph.input)
    for node in graph.node:
        if any(name in computed for name in node.input):
            computed |= dict.fromkeys(name for name in node.output if name)
    inputs = {value.name for value in graph.input}
    return [name for name in computed if name not in inputs and readers[name] != {"QuantizeLinear"}]


def _silent_onnxruntime() -> Any:
    """Import ONNX Runtime so that it sends and stores nothing about its user.

    Official Linux and macOS builds report home unless this variable is set before the import; the function of the
    Python API comes too late to keep a device identifier from being written.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def _feed(artifact: Artifact, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    pairs = zip(artifact.inputs, inputs, strict=True)
    return {given.name: values.astype(given.dtype, copy=False) for given, values in pairs}


def _providers(delegate: str) -> list[str]:
    """The delegate's provider where this build has it, and the CPU's for the rest."""
    wanted = [_PROVIDERS[delegate]] if delegate in _PROVIDERS else []
    available = _silent_onnxruntime().get_available_providers()
    return [provider for provider in (*wanted, _CPU_PROVIDER) if provider in available]


class _Session:
    def __init__(self, artifact: Artifact, threads: int) -> None:
        onnxruntime = _silent_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._path = artifact.files[0]
        self._options = options
        self._asked = asked_delegate(artifact)
        if self._asked != CPU:
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        self._session = onnxruntime.InferenceSession(str(self._path), options, providers=_providers(self._asked))
        self._artifact = artifact

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return tuple(self._session.run(None, _feed(self._artifact, inputs)))

    def kernels(self) -> KernelUse:
        counts = self._optimised_ops()
        int8 = sum(counts[op] for op in _INT8_OPS)
        total = int8 + sum(counts[op] for op in _FLOAT_OPS)
        kernels = KernelUse(int8=int8, total=total, how="ops in the graph that ONNX Runtime optimised for the CPU")
        return with_delegate(kernels, self.acceleration())

    def acceleration(self) -> Acceleration:
        if self._asked == CPU:
            return on_cpu(CPU)
        provider = _PROVIDERS[self._asked]
        if provider not in self._session.get_providers():
            return on_cpu(self._asked, f"this build of ONNX Runtime has no {provider}")
        return Acceleration(self._asked, self._asked, ops=self._assigned(provider))

    def _assigned(self, provider: str) -> tuple[int, int] | None:
        """Nodes that were given to the provider, and all nodes; None where this version does not tell."""
        if not hasattr(self._session, "get_provider_graph_assignment_info"):
            return None
        nodes = Counter[str]()
        for part in self._session.get_provider_graph_assignment_info():
            nodes[part.ep_name] += len(part.get_nodes())
        return nodes[provider], nodes.total()

    def _optimised_ops(self) -> Counter[str]:
        import onnx

        onnxruntime = _silent_onnxruntime()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "optimised.onnx"
            self._options.optimized_model_filepath = str(path)
            onnxruntime.InferenceSession(str(self._path), self._options, providers=[_CPU_PROVIDER])
            self._options.optimized_model_filepath = ""
            return Counter(node.op_type for node in onnx.load(path, load_external_data=False).graph.node)

"""LiteRT (formerly TensorFlow Lite): `.tflite` files whose integers are the plan's own.

The plan's graph goes through litert-torch, which folds the quantize and dequantize nodes into integer ops and makes
INT8 inputs of them, and INT8 outputs where a layer writes them; a session converts from and to float32 with the scales
stored in the file.
Float16 stores the weights of layers in half behind a dequantize op, as TensorFlow Lite's own float16 files do; in a
mixed INT8 plan, half and weight-only layers store theirs in the same way, and dynamic linear layers become hybrid
FULLY_CONNECTED ops. The format has 16-bit activations, too, but not through this converter: it gives them INT32 biases
where the kernels want INT64, and puts 8 and 16 bits into one op, which no kernel takes.
The GPU is one delegate that can be asked for; the others are recorded for the phone, where they are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pocketfit.errors import ConversionError
from pocketfit.rows import apart
from pocketfit.runtimes.delegates import (
    DELEGATE,
    asked_delegate,
    delegate_notes,
    delegate_option,
    on_cpu,
    with_delegate,
)
from pocketfit.runtimes.litert_arena import arena_of
from pocketfit.runtimes.litert_ends import quantized, restored
from pocketfit.runtimes.litert_format import compact, order_tensors, pack, unpack
from pocketfit.runtimes.litert_pixels import take_uint8
from pocketfit.runtimes.options import accepted_options
from pocketfit.runtimes.pixels import input_type_option, takes_pixels
from pocketfit.runtimes.said import REPLACE_NAMED, first_line, lines_of
from pocketfit.types import (
    Acceleration,
    ActivationMemory,
    Artifact,
    KernelUse,
    Precision,
    RuntimeInfo,
    Scheme,
    TensorSpec,
    Variant,
)

if TYPE_CHECKING:
    import numpy as np

    from pocketfit.runtimes.litert_gpu import Gpu

__all__ = ["LiteRT"]

_GPU = "gpu"
# Recorded for the phone: LiteRT's Python package has none of them.
_ON_PHONES = {"npu": "the library of an NPU's maker", "nnapi": "Android", "coreml": "iOS"}

_COMPUTE_OPS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL"})


class LiteRT:
    """Converts through litert-torch and runs on ai-edge-litert: its CPU interpreter with XNNPACK, or its GPU."""

    info: ClassVar[RuntimeInfo] = RuntimeInfo(
        name="litert",
        title="LiteRT",
        extra="litert",
        packages=("ai-edge-litert", "litert-torch"),
        suffix=".tflite",
        precisions=(Precision.FLOAT32, Precision.FLOAT16, Precision.INT8),
        scheme=Scheme.AFFINE,
        platforms=("android", "ios", "linux", "macos", "windows"),
        delegates=("xnnpack", _GPU, *_ON_PHONES),
        note="INT8 inputs; outputs where a layer writes them",
        weight_bits=(8, 4),
        weight_only=True,
        dynamic=("linear",),
        dynamic_rows=True,
        options=(delegate_option(_GPU, *_ON_PHONES), input_type_option()),
    )

    def convert(self, variant: Variant, out: Path) -> Artifact:
        """Write `model.tflite`: batch 1, NCHW; its input is uint8 if asked, else INT8 in an INT8 plan and float32."""
        options = accepted_options(variant, self.info)
        model = _convert(variant)
        notes = _store_weights(model, variant) if variant.plan.precision is Precision.INT8 else ()
        compact(model)
        content = pack(model)
        if variant.plan.precision is Precision.FLOAT16:
            content = _store_weights_in_half(content)
        if takes_pixels(options):
            content = take_uint8(content)
        path = out / "model.tflite"
        path.write_bytes(content)
        interpreter = _tried(path)
        given, *others = map(_spec, interpreter.get_input_details())
        output, *more = map(_spec, interpreter.get_output_details())
        return Artifact(
            runtime=self.info.name,
            precision=variant.plan.precision,
            scheme=self.info.scheme,
            files=(path,),
            input=given,
            output=output,
            versions={package: metadata.version(package) for package in ("torch", *self.info.packages)},
            notes=(*notes, *delegate_notes(options[DELEGATE])),
            options=options,
            more_outputs=tuple(more),
            more_inputs=tuple(others),
        )

    def open(self, artifact: Artifact, *, threads: int = 1) -> _Session:
        """Load with XNNPACK, as LiteRT does on a phone, or for the GPU where that is asked for and there."""
        return _Session(artifact, threads)

    def activation_memory(self, artifact: Artifact) -> ActivationMemory:
        """Look where LiteRT's own kernels, without XNNPACK, put what they write."""
        return arena_of(_plain(artifact.files[0]))

    def tensors(self, artifact: Artifact, sample: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Run on LiteRT's own kernels, op by op and without a delegate, keeping what each op gives."""
        interpreter = _interpreter(artifact.files[0], threads=1, delegate=False, keep_tensors=True)
        inputs = interpreter.get_input_details()
        for given, values in zip(inputs, apart(sample, artifact.inputs), strict=True):
            interpreter.set_tensor(given["index"], quantized(values, given))
        interpreter.invoke()
        details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
        for index in _shown(interpreter._get_ops_details(), [given["index"] for given in inputs]):
            tensor = details[index]
            if tensor["dtype"].__name__ == "float32" or tensor["quantization"][0]:
                yield tensor["name"], restored(interpreter.get_tensor(index), tensor)


def _convert(variant: Variant) -> Any:
    import litert_torch
    import torch
    from litert_torch.quantize import pt2e_quantizer, quant_config

    from pocketfit.compress.quantize.lower import Activations, Weights, lower
    from pocketfit.runtimes.litert_barrier import lower_barriers, raise_barriers
    from pocketfit.runtimes.litert_graph import write_for_converter

    int8 = variant.plan.precision is Precision.INT8
    graph = lower(variant.model.graph, variant.plan, Activations.SIGNED, Weights.CHAIN)
    write_for_converter(graph)
    barrier = raise_barriers(graph, variant.model.graph, variant.plan) if int8 else ""
    # The quantizer is never run: the converter only asks it whether ranges are static.
    static = pt2e_quantizer.get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    marker = quant_config.QuantConfig(pt2e_quantizer=pt2e_quantizer.PT2EQuantizer().set_global(static))
    try:
        edge = litert_torch.convert(
            graph,
            tuple(torch.zeros(given.shape) for given in variant.model.inputs),
            quant_config=marker if int8 else None,
        )
        model = unpack(edge.model_content())
    except Exception as error:  # MLIR diagnostics come as many types
        raise _explain(error) from error
    lower_barriers(model, barrier)
    order_tensors(model)
    return model


def _explain(error: Exception) -> ConversionError:
    telling = [line[:400] for line in lines_of(str(error)) if "Lowering not found" in line or "error:" in line]
    message = telling[0] if telling else first_line(error)
    return ConversionError("litert", f"litert-torch could not convert the model: {message}", REPLACE_NAMED)


def _store_weights(model: Any, variant: Variant) -> tuple[str, ...]:
    from pocketfit.runtimes.litert_weights import store_weights
    from pocketfit.runtimes.stored_weights import stored_weights

    return store_weights(model, stored_weights(variant).values())


def _store_weights_in_half(content: bytes) -> bytes:
    """Weights of convolutions and linear layers as float16 behind a DEQUANTIZE op."""
    from ai_edge_quantizer import qtyping, quantizer

    half = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    caster = quantizer.Quantizer(bytearray(content))
    names = qtyping.TFLOperationName
    for operation in (names.CONV_2D, names.DEPTHWISE_CONV_2D, names.FULLY_CONNECTED):
        caster.update_quantization_recipe(
            regex=".*",
            operation_name=operation,
            op_config=half,
            algorithm_key=quantizer.AlgorithmName.FLOAT_CASTING,
        )
    return bytes(caster.quantize().quantized_model)


def _shown(ops: Sequence[dict[str, Any]], given: Sequence[int]) -> list[int]:
    """Tensors that depend on the input, in the order of the ops, but for those that are only read to be quantized."""
    readers: defaultdict[int, set[str]] = defaultdict(set)
    for op in ops:
        for index in op["inputs"]:
            readers[index].add(op["op_name"])
    computed = dict.fromkeys(given)
    for op in ops:
        if any(index in computed for index in op["inputs"]):
            computed |= dict.fromkeys(map(int, op["outputs"]))
    return [index for index in computed if readers[index] != {"QUANTIZE"}]


def _interpreter(path: Path, *, threads: int, delegate: bool, keep_tensors: bool = False) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(
        str(path),
        num_threads=threads,
        experimental_op_resolver_type=resolver,
        experimental_preserve_all_tensors=keep_tensors,
    )
    interpreter.allocate_tensors()
    return interpreter


def _tried(path: Path) -> Any:
    """The file loaded, or the reason why LiteRT cannot."""
    try:
        return _plain(path)
    except (RuntimeError, ValueError) as error:
        missing = re.findall(r"Didn't find op for builtin opcode '(\w+)'", str(error))
        reason = f"has no kernel for {', '.join(missing)}" if missing else f"cannot load it: {first_line(error)}"
        raise ConversionError("litert", f"litert-torch wrote a file, and LiteRT {reason}", REPLACE_NAMED) from error


def _plain(path: Path) -> Any:
    """The ops as they are in the file, none given to a delegate."""
    return _interpreter(path, threads=1, delegate=False)


def _spec(details: dict[str, Any]) -> TensorSpec:
    import numpy as np

    shape = tuple(int(size) for size in details["shape"])
    return TensorSpec(name=details["name"], shape=shape, dtype=np.dtype(details["dtype"]).name)


class _Session:
    def __init__(self, artifact: Artifact, threads: int) -> None:
        self._path = artifact.files[0]
        self._interpreter = _interpreter(self._path, threads=threads, delegate=True)
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()
        self._gpu, self._acceleration = self._accelerated(asked_delegate(artifact))

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        given = [quantized(values, details) for values, details in zip(inputs, self._inputs, strict=True)]
        answers = self._on_cpu(given) if self._gpu is None else self._gpu.run(given, self._outputs)
        return tuple(restored(values, output) for values, output in zip(answers, self._outputs, strict=True))

    def acceleration(self) -> Acceleration:
        return self._acceleration

    def _accelerated(self, asked: str) -> tuple[Gpu | None, Acceleration]:
        if asked != _GPU:
            return None, on_cpu(asked, f"it needs {_ON_PHONES.get(asked)}")
        from pocketfit.runtimes.litert_gpu import Gpu, NoGpu

        try:
            gpu = Gpu(self._path)
        except NoGpu as error:
            return None, on_cpu(asked, str(error))
        ops = len(_plain(self._path)._get_ops_details())
        return gpu, Acceleration(asked, asked, gpu.device, gpu.software, (ops, ops) if gpu.whole else None)

    def _on_cpu(self, given: Sequence[np.ndarray]) -> list[np.ndarray]:
        for details, values in zip(self._inputs, given, strict=True):
            self._interpreter.set_tensor(details["index"], values)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output["index"]) for output in self._outputs]

    def kernels(self) -> KernelUse:
        plain = _plain(self._path)
        dtypes = {tensor["index"]: tensor["dtype"].__name__ for tensor in plain.get_tensor_details()}
        compute = [op for op in plain._get_ops_details() if op["op_name"] in _COMPUTE_OPS]
        # An op with integer weights and a float input quantizes the input itself.
        int8 = sum("float32" not in {dtypes[index] for index in op["inputs"][:2]} for op in compute)
        hybrid = sum([dtypes[index] for index in op["inputs"][:2]] == ["float32", "int8"] for op in compute)
        if self._gpu is not None:
            int8, hybrid = 0, 0  # it takes an INT8 file as floats that are rounded to the grid in between
        kernels = KernelUse(int8=int8 + hybrid, total=len(compute), how="ops in the file that multiply integers")
        return with_delegate(kernels, self.acceleration())

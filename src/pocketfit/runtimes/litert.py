"""LiteRT (formerly TensorFlow Lite): `.tflite` files whose integers are the plan's own.

The plan's graph goes through litert-torch, which folds the quantize and dequantize nodes into integer ops and makes
INT8 inputs of them, and INT8 outputs where a layer writes them; a session converts from and to float32 with the scales
stored in the file.
Float16 stores the weights of layers in half behind a dequantize op, as TensorFlow Lite's own float16 files do.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pocketfit.errors import ConversionError
from pocketfit.runtimes.litert_format import compact
from pocketfit.types import Artifact, KernelUse, Precision, RuntimeInfo, Scheme, TensorSpec, Variant

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LiteRT"]

_COMPUTE_OPS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL"})


class LiteRT:
    """Converts through litert-torch and runs on ai-edge-litert's CPU interpreter with XNNPACK."""

    info: ClassVar[RuntimeInfo] = RuntimeInfo(
        name="litert",
        title="LiteRT",
        extra="litert",
        packages=("ai-edge-litert", "litert-torch"),
        suffix=".tflite",
        precisions=(Precision.FLOAT32, Precision.FLOAT16, Precision.INT8),
        scheme=Scheme.AFFINE,
        platforms=("android", "ios", "linux", "macos", "windows"),
        delegates=("xnnpack", "gpu", "nnapi", "coreml"),
        note="INT8 inputs; outputs where a layer writes them",
    )

    def convert(self, variant: Variant, out: Path) -> Artifact:
        """Write `model.tflite`: batch 1, NCHW; its input is INT8 in an INT8 plan, float32 otherwise."""
        content = compact(_convert(variant))
        if variant.plan.precision is Precision.FLOAT16:
            content = _store_weights_in_half(content)
        path = out / "model.tflite"
        path.write_bytes(content)
        interpreter = _interpreter(path, threads=1, delegate=False)
        return Artifact(
            runtime=self.info.name,
            precision=variant.plan.precision,
            scheme=self.info.scheme,
            files=(path,),
            input=_spec(interpreter.get_input_details()[0]),
            output=_spec(interpreter.get_output_details()[0]),
            versions={package: metadata.version(package) for package in ("torch", *self.info.packages)},
        )

    def open(self, artifact: Artifact, *, threads: int = 1) -> _Session:
        """Load with XNNPACK, as LiteRT does on a phone."""
        return _Session(artifact.files[0], threads)


def _convert(variant: Variant) -> bytes:
    import litert_torch
    import torch
    from litert_torch.quantize import pt2e_quantizer, quant_config

    from pocketfit.compress.quantize.lower import Activations, Weights, lower

    int8 = variant.plan.precision is Precision.INT8
    graph = lower(variant.model.graph, variant.plan, Activations.SIGNED, Weights.CHAIN)
    # The quantizer is never run: the converter only asks it whether ranges are static.
    static = pt2e_quantizer.get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    marker = quant_config.QuantConfig(pt2e_quantizer=pt2e_quantizer.PT2EQuantizer().set_global(static))
    try:
        edge = litert_torch.convert(
            graph, (torch.zeros(variant.model.input.shape),), quant_config=marker if int8 else None
        )
        content: bytes = edge.model_content()
    except Exception as error:  # MLIR diagnostics come as many types
        raise _explain(error) from error
    return content


def _explain(error: Exception) -> ConversionError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Lowering not found" in line or "error:" in line]
    message = (telling or lines or [type(error).__name__])[0]
    return ConversionError(
        "litert",
        f"litert-torch could not convert the model: {message[:400]}",
        "Replace the op named above, or leave this runtime out with --targets.",
    )


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


def _interpreter(path: Path, *, threads: int, delegate: bool) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(path), num_threads=threads, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    return interpreter


def _spec(details: dict[str, Any]) -> TensorSpec:
    import numpy as np

    shape = tuple(int(size) for size in details["shape"])
    return TensorSpec(name=details["name"], shape=shape, dtype=np.dtype(details["dtype"]).name)


class _Session:
    def __init__(self, path: Path, threads: int) -> None:
        self._path = path
        self._interpreter = _interpreter(path, threads=threads, delegate=True)
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        self._interpreter.set_tensor(self._input["index"], _quantize(inputs[0], self._input))
        self._interpreter.invoke()
        return tuple(_restore(self._interpreter.get_tensor(output["index"]), output) for output in self._outputs)

    def kernels(self) -> KernelUse:
        plain = _interpreter(self._path, threads=1, delegate=False)
        dtypes = {tensor["index"]: tensor["dtype"].__name__ for tensor in plain.get_tensor_details()}
        compute = [op for op in plain._get_ops_details() if op["op_name"] in _COMPUTE_OPS]
        int8 = sum(dtypes[op["inputs"][0]] == "int8" for op in compute)
        return KernelUse(int8=int8, total=len(compute), how="ops in the file whose input is INT8")


def _quantize(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    import numpy as np

    dtype = np.dtype(details["dtype"])
    if dtype == np.float32:
        return values
    scale, zero_point = details["quantization"]
    limits = np.iinfo(dtype)
    integers: np.ndarray = np.clip(np.rint(values / np.float32(scale)) + zero_point, limits.min, limits.max).astype(
        dtype
    )
    return integers


def _restore(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    import numpy as np

    if values.dtype == np.float32:
        return values.copy()
    scale, zero_point = details["quantization"]
    return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)

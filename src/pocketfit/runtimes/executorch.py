"""ExecuTorch: `.pte` files for XNNPACK, the delegate of every phone's CPU, with the plan's own integers.

The plan's graph, in the form that XNNPACK's partitioner takes whole, becomes one delegate; what it leaves is computed
in float by ExecuTorch's portable kernels. Inputs and outputs are float32 in every precision: an INT8 file quantizes
and restores them itself.
Float16 stores the weights of layers in half and computes in float32, and so do half layers of a mixed INT8 plan.
Dynamic linear layers find the range of each row at run time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pocketfit.errors import ConversionError
from pocketfit.runtimes.batch import batch_option, export_with_batch
from pocketfit.runtimes.delegates import DELEGATE
from pocketfit.runtimes.executorch_format import INTEGERS, Program
from pocketfit.runtimes.executorch_native import Loaded, quiet, runtime
from pocketfit.runtimes.options import accepted_options
from pocketfit.runtimes.said import REPLACE_NAMED, first_line
from pocketfit.types import (
    Acceleration,
    ActivationMemory,
    Artifact,
    KernelUse,
    Precision,
    RuntimeInfo,
    RuntimeOption,
    Scheme,
    TensorSpec,
    Variant,
)

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ExecuTorch"]

_XNNPACK = "xnnpack"

# Portable kernels that multiply and sum, where XNNPACK did not take a layer or product.
_COMPUTE_KERNELS = frozenset(f"aten::{name}.out" for name in ("convolution", "linear", "addmm", "mm", "bmm"))

# What ExecuTorch says, somewhere in a message of many lines, of ops that it cannot lower: those without a form that
# writes into memory planned beforehand, and the one that a pass was at when it failed.
_NO_OP = (
    re.compile(r"Missing out variants?: \{(.*?)\}"),
    re.compile(r"While executing %\S+ : .*?\[target=([\w.]+)\]"),
)


class ExecuTorch:
    """Converts through `executorch.exir` and runs on ExecuTorch's own runtime."""

    info: ClassVar[RuntimeInfo] = RuntimeInfo(
        name="executorch",
        title="ExecuTorch",
        extra="executorch",
        packages=("executorch",),
        suffix=".pte",
        precisions=(Precision.FLOAT32, Precision.FLOAT16, Precision.INT8),
        scheme=Scheme.AFFINE,
        platforms=("android", "ios", "linux", "macos", "windows"),
        delegates=("xnnpack", "vulkan", "coreml", "qualcomm", "mediatek", "arm"),
        note="INT8 in one XNNPACK delegate, float32 inputs and outputs",
        dynamic=("linear",),
        dynamic_rows=True,
        # A program is lowered for its delegate and has no other form of the layers: only what can be run is offered.
        options=(
            RuntimeOption(DELEGATE, (_XNNPACK,), "The delegate that the file is lowered for."),
            batch_option(),
        ),
    )

    def convert(self, variant: Variant, out: Path) -> Artifact:
        """Write `model.pte`: batch 1 or dynamic, NCHW, float32 inputs and outputs."""
        options = accepted_options(variant, self.info)
        content = _convert(variant, options)
        path = out / "model.pte"
        path.write_bytes(content)
        _check(path, variant.model.inputs)
        model = variant.model
        return Artifact(
            runtime=self.info.name,
            precision=variant.plan.precision,
            scheme=self.info.scheme,
            files=(path,),
            input=model.input,
            output=model.output,
            versions={package: metadata.version(package) for package in ("torch", *self.info.packages)},
            notes=tuple(_notes(variant, path)),
            options=options,
            more_outputs=model.more_outputs,
            more_inputs=model.more_inputs,
        )

    def open(self, artifact: Artifact, *, threads: int = 1) -> _Session:
        """Load the program, with that many threads for it and for all sessions that run after it."""
        return _Session(artifact.files[0], threads)

    def activation_memory(self, artifact: Artifact) -> ActivationMemory:
        """Read it from the program."""
        how = "planned in the file; an XNNPACK delegate plans its own besides, and does not tell"
        return ActivationMemory(Program(artifact.files[0]).planned_bytes(), how)


def _convert(variant: Variant, options: Mapping[str, str]) -> bytes:
    from pocketfit.runtimes.executorch_graph import lower_for_xnnpack
    from pocketfit.runtimes.executorch_half import store_in_half

    try:
        with quiet():
            content = _lower(export_with_batch(lower_for_xnnpack(variant), variant.model, options))
    except Exception as error:  # its passes raise whatever they come upon
        raise _explain(error) from error
    return content if variant.plan.precision is Precision.FLOAT32 else store_in_half(content)


def _lower(exported: Any) -> bytes:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

    # Its own check refuses ops that it has kernels for; `_check` asks the runtime itself.
    config = EdgeCompileConfig(_check_ir_validity=False)
    edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()], compile_config=config)
    return bytes(edge.to_executorch().buffer)


def _explain(error: Exception) -> ConversionError:
    found = [name for pattern in _NO_OP for names in pattern.findall(str(error)) for name in names.split(",")]
    if found:
        return _refusal(f"has no kernel for {', '.join(sorted({_short(name) for name in found}))}")
    return _refusal(f"could not convert the model: {first_line(error)}")


def _short(name: str) -> str:
    """`executorch.exir.dialects.edge._ops.aten.median.dim` as `aten.median.dim`."""
    return name.strip(" '\"").rpartition("_ops.")[2]


def _check(path: Path, inputs: Sequence[TensorSpec]) -> None:
    """Refuse a program that the runtime cannot run."""
    import numpy as np

    missing = sorted(set(Program(path).operators()).difference(runtime()._get_operator_names()))
    if missing:
        raise _refusal(f"has no kernel for {', '.join(missing)}")
    try:
        Loaded(path, threads=1).run([np.zeros(given.shape, np.float32) for given in inputs])
    except RuntimeError as error:
        raise _refusal(f"converted the model, and its runtime refuses the file: {error}") from error


def _notes(variant: Variant, path: Path) -> Iterator[str]:
    from pocketfit.runtimes.executorch_graph import restored_layers

    restored = restored_layers(variant.model.graph, variant.plan)
    if restored:
        yield f"stored and computed in float32, because what they write stays float: {', '.join(restored)}"
    portable = list(_portable(Program(path)))
    if portable:
        yield f"computed by portable kernels, because XNNPACK does not take them: {', '.join(portable)}"


def _portable(program: Program) -> Iterator[str]:
    return (kernel for kernel in program.kernel_calls() if kernel in _COMPUTE_KERNELS)


def _refusal(message: str) -> ConversionError:
    return ConversionError("executorch", f"ExecuTorch {message}", REPLACE_NAMED)


class _Session:
    def __init__(self, path: Path, threads: int) -> None:
        self._path = path
        self._program = Loaded(path, threads)

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return self._program.run(inputs)

    def kernels(self) -> KernelUse:
        program = Program(self._path)
        weights = [layer.datatype for graph in program.graphs() for layer in graph.layers()]
        portable = len(list(_portable(program)))
        int8 = sum(datatype in INTEGERS for datatype in weights)
        how = "nodes of XNNPACK graphs with integer weights, and calls of portable kernels, in the file"
        return KernelUse(int8=int8, total=len(weights) + portable, how=how)

    def acceleration(self) -> Acceleration:
        return Acceleration(_XNNPACK, _XNNPACK)

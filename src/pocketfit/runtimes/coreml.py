"""Core ML: `.mlpackage` folders whose integers are the plan's own, converted anywhere and run on macOS.

    graph ─torch.export, coremltools→ ML program ─our own writer→ model.mlpackage

Float32 stores and computes in float32, float16 stores and computes in half, which is all that the Neural Engine does.
INT8 stores weights, activations and zero points as the plan has them and computes in float32 between them, so that the
scales are the plan's to the last bit; for the Neural Engine, named as the compute units, it computes in half, and the
scales are rounded to half. In a mixed plan, weight-only and half layers store their weights narrow.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pocketfit.errors import ConversionError
from pocketfit.runtimes import require, require_here
from pocketfit.runtimes.batch import MOST, batch_option, export_with_batch, is_dynamic
from pocketfit.runtimes.coreml_package import kernels, write_package
from pocketfit.runtimes.names import named
from pocketfit.runtimes.options import accepted_options
from pocketfit.runtimes.said import REPLACE_NAMED, first_line
from pocketfit.types import (
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

__all__ = ["CoreML"]

_IOS_TARGET, _COMPUTE_UNITS = "ios-target", "compute-units"
_NEURAL_ENGINE = "cpuAndNE"
# As Core ML spells them, and coremltools.
_UNITS = {"all": "ALL", "cpuOnly": "CPU_ONLY", "cpuAndGPU": "CPU_AND_GPU", _NEURAL_ENGINE: "CPU_AND_NE"}
# The first iOS whose programs have the ops that quantize and dequantize activations.
_QUANTIZES = 17
# Multiplies all terms of a sum so that one scale becomes 1: the file would no longer hold the plan's numbers.
_RESCALES = "common::distributive_quantized_binary_op_scale_normalization"
# What coremltools says, in an exception or in its log alone, of an op that it cannot translate.
_OP = re.compile(r"Unsupported fx node [^,]+, kind ([\w.:]+)|converting '([\w.:]+)' op|for op '([\w.:]+)' not impl")


class CoreML:
    """Converts through coremltools and runs on Core ML."""

    info: ClassVar[RuntimeInfo] = RuntimeInfo(
        name="coreml",
        title="Core ML",
        extra="coreml",
        packages=("coremltools",),
        suffix=".mlpackage",
        precisions=(Precision.FLOAT32, Precision.FLOAT16, Precision.INT8),
        scheme=Scheme.AFFINE,
        platforms=("ios", "macos"),
        note="float16 computes in half, and so does INT8 where the compute units are cpuAndNE",
        weight_only=True,
        hosts=("macos",),
        options=(
            RuntimeOption(_IOS_TARGET, ("17", "16", "18", "26"), "The oldest iOS that is to load the file."),
            RuntimeOption(_COMPUTE_UNITS, tuple(_UNITS), "What Core ML may compute on."),
            batch_option(),
        ),
    )

    def convert(self, variant: Variant, out: Path) -> Artifact:
        """Write `model.mlpackage`: batch 1 or dynamic, NCHW, float32 inputs and outputs."""
        require(self)
        options = accepted_options(variant, self.info)
        _refuse_older(variant, int(options[_IOS_TARGET]))
        package = out / "model.mlpackage"
        with tempfile.TemporaryDirectory(prefix="pocketfit-coreml-") as folder:
            made = _convert(variant, options, Path(folder))
            spec = made.get_spec()
            write_package(spec, Path(made.weights_dir) / "weight.bin", package)
        output, *more = named(variant.model.outputs, [output.name for output in spec.description.output])
        given, *others = named(variant.model.inputs, [given.name for given in spec.description.input])
        return Artifact(
            runtime=self.info.name,
            precision=variant.plan.precision,
            scheme=self.info.scheme,
            files=(package,),
            input=given,
            output=output,
            versions={name: metadata.version(name) for name in ("torch", *self.info.packages)},
            notes=_notes(variant, options),
            options=options,
            kernels=kernels(spec),
            more_outputs=tuple(more),
            more_inputs=tuple(others),
        )

    def open(self, artifact: Artifact, *, threads: int = 1) -> _Session:
        """Load on macOS with the artifact's compute units; Core ML itself decides on threads."""
        require(self)
        require_here(self)
        return _Session(artifact)


def _refuse_older(variant: Variant, ios: int) -> None:
    if variant.plan.activations and ios < _QUANTIZES:
        raise ConversionError(
            "coreml",
            f"INT8 activations need iOS {_QUANTIZES}, and iOS {ios} is asked for",
            f"Give --ios-target {_QUANTIZES}, or quantize the weights alone with --activation-bits 32.",
        )


def _half(variant: Variant, options: dict[str, str]) -> bool:
    """Whether the program computes in half."""
    precision = variant.plan.precision
    return precision is Precision.FLOAT16 or (precision is Precision.INT8 and options[_COMPUTE_UNITS] == _NEURAL_ENGINE)


def _notes(variant: Variant, options: dict[str, str]) -> tuple[str, ...]:
    notes = [f"for iOS {options[_IOS_TARGET]} and later, compute units {options[_COMPUTE_UNITS]}"]
    if options[_COMPUTE_UNITS] == _NEURAL_ENGINE and variant.plan.precision is Precision.INT8:
        notes.append("computes in half for the Neural Engine: the plan's scales are rounded to half")
    if options[_COMPUTE_UNITS] == _NEURAL_ENGINE and variant.plan.precision is Precision.FLOAT32:
        notes.append("computes in float32, which the Neural Engine does not: it runs on the CPU")
    return tuple(notes)


def _convert(variant: Variant, options: dict[str, str], folder: Path) -> Any:
    """Convert into a package in `folder`: one of coremltools' own would stay behind in a child process."""
    import numpy as np
    import torch

    from pocketfit.runtimes.coreml_graph import coreml_graph, register_restore_half

    half = _half(variant, options)
    graph = coreml_graph(variant, half=half)
    with _quiet() as said, torch.no_grad():
        try:
            import coremltools

            register_restore_half()
            passes = coremltools.PassPipeline.DEFAULT
            passes.remove_passes({_RESCALES})
            exported = export_with_batch(graph, variant.model, options).run_decompositions({})
            return coremltools.convert(
                exported,
                convert_to="mlprogram",
                compute_precision=coremltools.precision.FLOAT16 if half else coremltools.precision.FLOAT32,
                minimum_deployment_target=getattr(coremltools.target, f"iOS{options[_IOS_TARGET]}"),
                inputs=_inputs(variant.model.inputs) if is_dynamic(options) else None,
                outputs=[coremltools.TensorType(name=one.name, dtype=np.float32) for one in variant.model.outputs],
                pass_pipeline=passes,
                package_dir=str(folder / "made.mlpackage"),
                skip_model_load=True,
            )
        except Exception as error:  # its frontend and its passes raise whatever they raise
            raise _explain(error, said) from error


def _inputs(specs: Sequence[TensorSpec]) -> list[Any]:
    import coremltools

    batch = coremltools.RangeDim(lower_bound=1, upper_bound=MOST, default=1)
    return [coremltools.TensorType(name=given.name, shape=(batch, *given.shape[1:])) for given in specs]


@contextlib.contextmanager
def _quiet() -> Iterator[list[str]]:
    """Keep coremltools from writing progress and warnings of versions; give what it logs as errors."""
    logger = logging.getLogger("coremltools")
    kept = _Kept()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(kept)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield kept.messages
    finally:
        logger.removeHandler(kept)
        logger.setLevel(level)
        logger.propagate = propagate


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _explain(error: Exception, said: Sequence[str]) -> ConversionError:
    ops = [next(filter(None, found.groups())) for found in _OP.finditer("\n".join((str(error), *said)))]
    named = f"cannot translate {', '.join(dict.fromkeys(ops))}: " if ops else "could not convert the model: "
    return ConversionError("coreml", f"coremltools {named}{first_line(error)}", REPLACE_NAMED)


class _Session:
    def __init__(self, artifact: Artifact) -> None:
        with _quiet():
            import coremltools
        units = coremltools.ComputeUnit[_UNITS[artifact.options.get(_COMPUTE_UNITS, "all")]]
        self._model = coremltools.models.MLModel(str(artifact.files[0]), compute_units=units)
        self._inputs, self._outputs = ([one.name for one in specs] for specs in (artifact.inputs, artifact.outputs))

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        import numpy as np

        given = [np.ascontiguousarray(values, dtype=np.float32) for values in inputs]
        answer = self._model.predict(dict(zip(self._inputs, given, strict=True)))
        return tuple(np.array(answer[name], dtype=np.float32) for name in self._outputs)

    def kernels(self) -> KernelUse:
        return kernels(self._model.get_spec())

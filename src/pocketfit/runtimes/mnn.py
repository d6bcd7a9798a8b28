"""MNN: `.mnn` files whose integers are the plan's own.

    graph ─torch.onnx→ ONNX ─MNN's converter→ network, weights apart ─our own writer→ float32, half, INT8 ─MNN→ run once

INT8 is affine and signed: layers read and write INT8 with the plan's scales and zero points, and so does what MNN can
compute on integers between them; the rest is float32. Half and weight-only layers, and the whole of a float16 plan,
store their weights narrow, down to 4 bits, and compute in float32; layers on integers take 8 bits for weights of 4.
A weight that several layers share, as those of an unrolled LSTM do, stays float32.
A delegate is a backend of MNN; a build without it computes on the CPU and only prints so, which is caught here.

MNN's converter is a native module of its own and runs in a process of its own. Python's `MNN.tools` around it is never
imported: it installs packages and reports home when it is. Neither `MNN` itself nor the native module does so.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pocketfit.errors import ConversionError
from pocketfit.rows import apart
from pocketfit.runtimes import require
from pocketfit.runtimes.batch import batch_option, is_dynamic
from pocketfit.runtimes.delegates import (
    CPU,
    DELEGATE,
    asked_delegate,
    delegate_notes,
    delegate_option,
    for_cpu,
    on_cpu,
    with_delegate,
)
from pocketfit.runtimes.names import named
from pocketfit.runtimes.native_output import caught_output
from pocketfit.runtimes.options import accepted_options
from pocketfit.runtimes.said import REPLACE, last_lines
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

    from pocketfit.runtimes.mnn_weights import Weights

__all__ = ["Mnn"]

# The newest that MNN's converter knows all of.
OPSET = 20

_CONVERT = "import sys, _tools; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"
# As MNN spells its backends; Core ML and NNAPI are one to it, of which a build has the one that its system has.
_BACKENDS = {"opencl": "OPENCL", "vulkan": "VULKAN", "metal": "METAL", "coreml": "NN", "nnapi": "NN"}
# What to ask a session for, as MNN numbers it: its memory in MiB.
_MEMORY = 0
# What it prints when it takes the CPU instead.
_NO_BACKEND = re.compile(r"Can't Find type=\d+ backend")
# What the converter says of ops that it does not know.
_UNKNOWN = re.compile(r"These Op Not Support: ([^\n]+)")


class Mnn:
    """Converts through ONNX and MNN's converter, and runs on MNN's CPU backend, or on the one that is asked for."""

    info: ClassVar[RuntimeInfo] = RuntimeInfo(
        name="mnn",
        title="MNN",
        extra="mnn",
        packages=("MNN", "onnx", "onnxscript"),
        suffix=".mnn",
        precisions=(Precision.FLOAT32, Precision.FLOAT16, Precision.INT8),
        scheme=Scheme.AFFINE,
        platforms=("android", "ios", "linux", "macos", "windows"),
        delegates=tuple(_BACKENDS),
        note="INT8 from layer to layer; poolings and resizings in float32",
        weight_bits=(8, 4),
        weight_only=True,
        options=(delegate_option(*_BACKENDS), batch_option()),
    )

    def convert(self, variant: Variant, out: Path) -> Artifact:
        """Write `model.mnn`: batch 1 or dynamic, float32 input and output in the model's layout."""
        from pocketfit.runtimes.mnn_weights import Weights

        require(self)
        options = accepted_options(variant, self.info)
        weights = Weights(variant.model, variant.plan)
        content, inputs, outputs = _convert(variant, weights, options)
        given, *others = named(variant.model.inputs, inputs)
        output, *more = named(variant.model.outputs, outputs)
        path = out / "model.mnn"
        path.write_bytes(content)
        artifact = Artifact(
            runtime=self.info.name,
            precision=variant.plan.precision,
            scheme=self.info.scheme,
            files=(path,),
            input=given,
            output=output,
            versions={package: metadata.version(package) for package in ("torch", *self.info.packages)},
            notes=(*_notes(weights), *delegate_notes(options[DELEGATE])),
            options=options,
            more_outputs=tuple(more),
            more_inputs=tuple(others),
        )
        _try_once(for_cpu(artifact))
        return artifact

    def open(self, artifact: Artifact, *, threads: int = 1) -> _Session:
        """Load for the CPU, or for the artifact's delegate where this build has it; what is not INT8 is float32."""
        require(self)
        return _Session(artifact, threads)

    def activation_memory(self, artifact: Artifact) -> ActivationMemory:
        """Ask a session on the CPU."""
        require(self)
        return ActivationMemory(
            _Session(for_cpu(artifact), threads=1).memory_bytes(), "of a session, the weights that it packs included"
        )

    def tensors(self, artifact: Artifact, sample: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Run on the CPU, but keep what each op gives; MNN restores INT8 itself."""
        require(self)
        inputs = apart(sample, artifact.inputs)
        yield from zip((given.name for given in artifact.inputs), inputs, strict=True)
        yield from _Session(for_cpu(artifact), threads=1).tensors(inputs)


def _notes(weights: Weights) -> tuple[str, ...]:
    reasons = {
        "stored in float32 because MNN's converter shares or changes the weight": weights.missing(),
        "4-bit weights take 8 bits in the file": weights.widened(),
    }
    return tuple(f"{reason}: {', '.join(names)}" for reason, names in reasons.items() if names)


def _convert(variant: Variant, weights: Weights, options: Mapping[str, str]) -> tuple[bytes, list[str], list[str]]:
    """The file's content, and the names of the network's inputs and outputs."""
    from pocketfit.runtimes.mnn_graph import deployed_graph
    from pocketfit.runtimes.mnn_network import assemble
    from pocketfit.runtimes.onnx_export import export_onnx

    graph = deployed_graph(variant)
    model = export_onnx(graph, variant.model, options, runtime="mnn", opset=OPSET)
    with tempfile.TemporaryDirectory(prefix="pocketfit-mnn-") as folder:
        source = Path(folder) / "model.onnx"
        source.write_bytes(model.SerializeToString(deterministic=True))
        skeleton = _run_converter(source)
        apart = skeleton.with_name(f"{skeleton.name}.weight")
        content = assemble(
            skeleton.read_bytes(),
            apart.read_bytes() if apart.exists() else b"",
            weights,
            variant.plan.activations,
            int8=variant.plan.precision is Precision.INT8,
        )
    return content, [given.name for given in model.graph.input], [output.name for output in model.graph.output]


def _run_converter(source: Path) -> Path:
    """Write the network beside the ONNX model, its weights in a file of their own."""
    target = source.with_suffix(".mnn")
    options = ["-f", "ONNX", "--modelFile", source.name, "--MNNModel", target.name, "--bizCode", "MNN"]
    # Weights bit by bit: minus zero would become zero.
    options += ["--saveExternalData", "--alignDenormalizedValue", "0"]
    command = [sys.executable, "-P", "-c", _CONVERT, *options]
    # In its folder: the converter leaves a file of its own in the current one.
    done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True, errors="replace", check=False)
    printed = done.stdout + done.stderr
    if done.returncode != 0 or not target.exists():
        raise _explain(printed, done.returncode)
    return target


def _explain(printed: str, status: int) -> ConversionError:
    unknown = sorted({name.strip() for line in _UNKNOWN.findall(printed) for name in line.split("|") if name.strip()})
    if unknown:
        return ConversionError("mnn", f"MNN's converter does not know {', '.join(unknown)}", REPLACE)
    return ConversionError(
        "mnn", f"MNN's converter wrote no file and ended with exit status {status}:\n{last_lines(printed, 5)}", REPLACE
    )


def _try_once(artifact: Artifact) -> None:
    """A file that loads can still fail, give another shape, or no numbers, when it runs."""
    import numpy as np

    generator = np.random.default_rng(0)
    samples = [generator.standard_normal(given.shape).astype(np.float32) for given in artifact.inputs]
    outputs = _Session(artifact, threads=1).run(samples)
    if not all(np.isfinite(output).all() for output in outputs):
        raise ConversionError("mnn", "the converted network gives values that are not finite", REPLACE)


class _Session:
    def __init__(self, artifact: Artifact, threads: int) -> None:
        import MNN

        self._artifact = artifact
        self._mnn = MNN
        self._interpreter = MNN.Interpreter(str(artifact.files[0]))
        # "high": arithmetic narrower than float32 would hide what the plan's own numbers cost.
        config: dict[str, int | str] = {"numThread": threads, "precision": "high"}
        self._acceleration = on_cpu(CPU)
        if (asked := asked_delegate(artifact)) == CPU:
            self._session = self._interpreter.createSession(config)
        else:
            self._session, self._acceleration = self._delegated(asked, config)
        names = [given.name for given in artifact.inputs]
        self._inputs = [self._interpreter.getSessionInput(self._session, name) for name in names]

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        self._feed(inputs)
        self._interpreter.runSession(self._session)
        return tuple(self._output(spec, len(inputs[0])) for spec in self._artifact.outputs)

    def _output(self, spec: TensorSpec, batch: int) -> np.ndarray:
        values = self._fetch(self._interpreter.getSessionOutput(self._session, spec.name))
        shape = (batch, *spec.shape[1:])
        if _sides(values.shape) != _sides(shape):
            raise ConversionError("mnn", f"the network gives {values.shape} where the model gives {shape}", REPLACE)
        return values.reshape(shape)

    def tensors(self, inputs: Sequence[np.ndarray]) -> list[tuple[str, np.ndarray]]:
        """What each op gives in a run, but for integers such as shapes."""
        found: list[tuple[str, np.ndarray]] = []

        def keep(tensors: Sequence[Any], name: str) -> bool:
            floats = [tensor for tensor in tensors if tensor.getDataType() == self._mnn.Halide_Type_Float]
            found.extend((name, self._fetch(tensor)) for tensor in floats)
            return True

        self._feed(inputs)
        self._interpreter.runSessionWithCallBack(self._session, lambda *_: True, keep)
        return found

    def kernels(self) -> KernelUse:
        from pocketfit.runtimes.mnn_network import count_layers

        int8, total = count_layers(self._artifact.files[0].read_bytes())
        kernels = KernelUse(int8=int8, total=total, how="ops in the file with INT8 weights, input and output")
        return with_delegate(kernels, self.acceleration())

    def memory_bytes(self) -> int:
        mebibytes: float = self._interpreter.getSessionInfo(self._session, _MEMORY)
        return round(mebibytes * 2**20)

    def acceleration(self) -> Acceleration:
        return self._acceleration

    def _delegated(self, asked: str, config: dict[str, int | str]) -> tuple[Any, Acceleration]:
        backend = _BACKENDS[asked]
        with caught_output() as printed:
            session = self._interpreter.createSession({**config, "backend": backend})
        if _NO_BACKEND.search(printed()):
            return session, on_cpu(asked, f"this build of MNN has no {backend} backend")
        return session, Acceleration(asked, asked)

    def _feed(self, inputs: Sequence[np.ndarray]) -> None:
        import numpy as np

        if is_dynamic(self._artifact.options) and self._inputs[0].getShape() != inputs[0].shape:
            for tensor, values in zip(self._inputs, inputs, strict=True):
                self._interpreter.resizeTensor(tensor, values.shape)
            self._interpreter.resizeSession(self._session)
        for tensor, values in zip(self._inputs, inputs, strict=True):
            # A copy: MNN's tensor is a view of the array.
            tensor.copyFrom(self._host(np.array(values, np.float32, order="C")))

    def _fetch(self, tensor: Any) -> np.ndarray:
        import numpy as np

        host = self._host(np.zeros(tensor.getShape(), np.float32))
        tensor.copyToHostTensor(host)
        return np.array(host.getNumpyData(), np.float32)

    def _host(self, values: np.ndarray) -> Any:
        mnn = self._mnn
        return mnn.Tensor(values.shape, mnn.Halide_Type_Float, values, mnn.Tensor_DimensionType_Caffe)


def _sides(shape: Sequence[int]) -> list[int]:
    """The shape without its ones: MNN gives a sequence as an image of width 1."""
    return [side for side in shape if side != 1]

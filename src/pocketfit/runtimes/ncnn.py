"""ncnn: `.param` and `.bin` files whose integers are the plan's own.

    graph ─torch.jit.trace, pnnx→ float network ─our own writer→ float16 or INT8 weights ─ncnn→ run once

pnnx is the converter of ncnn's makers and runs in a process of its own. An INT8 layer of ncnn quantizes its input on
the way in, which is what the plan calls symmetric; additions, poolings and the like compute in float32.
Float16 halves the weights in the file; they are widened when the network is loaded, and arithmetic is float32. So it
is with the half layers of an INT8 plan; weights of 4 bits take 8 in the file.

With Vulkan as its delegate the network runs on the first Vulkan device, in float32 and INT8 as on the CPU.

On x86 alone, ncnn scales the results of INT8 depthwise layers by an approximate reciprocal (RCPPS): they are off by up
to 0.04%, which moves roundings further on, so that such networks agree less closely with the plan than others do.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pocketfit.errors import ConversionError
from pocketfit.rows import apart
from pocketfit.runtimes import require
from pocketfit.runtimes.delegates import (
    DELEGATE,
    asked_delegate,
    delegate_notes,
    delegate_option,
    for_cpu,
    on_cpu,
    with_delegate,
)
from pocketfit.runtimes.names import named
from pocketfit.runtimes.ncnn_format import Layer, read_layers, read_network, write_network
from pocketfit.runtimes.ncnn_int8 import int8_factors, is_int8
from pocketfit.runtimes.options import accepted_options
from pocketfit.runtimes.said import REPLACE, last_lines
from pocketfit.types import (
    Acceleration,
    Artifact,
    KernelUse,
    Precision,
    RuntimeInfo,
    Scheme,
    Variant,
)

if TYPE_CHECKING:
    import numpy as np
    from torch.fx import GraphModule, Node

__all__ = ["Ncnn"]

_INPUT, _OUTPUT = "in{}", "out{}"  # as pnnx names them
_VULKAN = "vulkan"
_CPU_DEVICE = 3  # what ncnn calls a Vulkan device that computes on the CPU
# Storage and arithmetic narrower than float32, which would hide what the plan's own numbers cost.
_LOSSY_OPTIONS = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
)
_COMPUTE = ("Convolution", "Deconvolution", "DeformableConv", "InnerProduct", "Gemm", "MatMul", "MultiHeadAttention")


class Ncnn:
    """Converts through pnnx and runs on ncnn's CPU backend, or on Vulkan where that is asked for."""

    info: ClassVar[RuntimeInfo] = RuntimeInfo(
        name="ncnn",
        title="ncnn",
        extra="ncnn",
        packages=("ncnn", "pnnx"),
        suffix=".param",
        precisions=(Precision.FLOAT32, Precision.FLOAT16, Precision.INT8),
        scheme=Scheme.SYMMETRIC,
        platforms=("android", "ios", "linux", "macos", "windows"),
        delegates=(_VULKAN,),
        note="INT8 inside convolutions and linear layers, float32 elsewhere",
        int8_layers=("conv2d", "linear"),
        options=(delegate_option(_VULKAN),),
    )

    def convert(self, variant: Variant, out: Path) -> Artifact:
        """Write `model.param` and `model.bin`: float32 input and output, no batch dimension."""
        from pocketfit.runtimes.ncnn_weights import store_weights

        require(self)
        options = accepted_options(variant, self.info)
        layers, notes = store_weights(_float_layers(variant), variant)
        files = (out / "model.param", out / "model.bin")
        write_network(layers, *files)
        model = variant.model
        given, *others = named(model.inputs, map(_INPUT.format, range(len(model.inputs))))
        output, *more = named(model.outputs, map(_OUTPUT.format, range(len(model.outputs))))
        artifact = Artifact(
            runtime=self.info.name,
            precision=variant.plan.precision,
            scheme=self.info.scheme,
            files=files,
            input=given,
            output=output,
            versions={package: metadata.version(package) for package in ("torch", *self.info.packages)},
            notes=(*notes, *delegate_notes(options[DELEGATE])),
            options=options,
            more_outputs=tuple(more),
            more_inputs=tuple(others),
        )
        _try_once(for_cpu(artifact))
        return artifact

    def open(self, artifact: Artifact, *, threads: int = 1) -> _Session:
        """Load for the CPU, or for Vulkan where asked for and there; whatever is not INT8 computes in float32."""
        require(self)
        return _Session(artifact, threads)

    def tensors(self, artifact: Artifact, sample: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Run on the CPU, but keep what each layer gives; INT8 between two layers is restored with its scale."""
        require(self)
        inputs = apart(sample, artifact.inputs)
        yield from zip((given.name for given in artifact.inputs), inputs, strict=True)
        layers = [layer for layer in read_network(*artifact.files) if layer.inputs]
        factors = int8_factors(layers)
        session = _Session(for_cpu(artifact), threads=1)
        for name, values in session.tensors(inputs, [name for layer in layers for name in layer.outputs]):
            yield name, values / factors.get(name, 1)


def _float_layers(variant: Variant) -> tuple[Layer, ...]:
    with tempfile.TemporaryDirectory(prefix="pocketfit-ncnn-") as folder:
        traced = Path(folder) / "model.pt"
        shapes = [given.shape for given in variant.model.inputs]
        _trace(_deployed_graph(variant), shapes, traced)
        printed = _run_pnnx(traced, shapes)
        param = traced.with_name("model.ncnn.param")
        _refuse_unsupported(read_layers(param), printed)
        return read_network(param, traced.with_name("model.ncnn.bin"))


def _deployed_graph(variant: Variant) -> GraphModule:
    """A copy of the graph with the biases of an INT8 plan; other weights are shared with the model."""
    from torch.fx import Graph, GraphModule

    copies: dict[Node, Node] = {}
    graph = Graph()
    graph.output(_bare(graph.graph_copy(variant.model.graph.graph, copies)))
    module = GraphModule(variant.model.graph, graph)
    layers = variant.plan.layers if variant.plan.precision is Precision.INT8 else {}
    for node, copy in copies.items():
        if node.name in layers and Scheme.SYMMETRIC in layers[node.name].bias:
            _set_bias(module, copy, layers[node.name].bias[Scheme.SYMMETRIC])
    module.recompile()
    return module


def _bare(outputs: Any) -> Any:
    """One output by itself, as a trace of the graph returns it; several in their tuple."""
    from torch.utils import _pytree as pytree

    leaves = tuple(pytree.tree_leaves(outputs))
    return leaves if len(leaves) > 1 else leaves[0]


def _set_bias(module: GraphModule, node: Node, bias: Sequence[float]) -> None:
    import torch

    name = f"_plan_{node.name}_bias"
    module.register_buffer(name, torch.tensor(bias, dtype=torch.float32))
    with module.graph.inserting_before(node):
        node.args = (*node.args[:2], module.graph.get_attr(name), *node.args[3:])


def _trace(module: GraphModule, shapes: Sequence[tuple[int, ...]], path: Path) -> None:
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls tracing deprecated; pnnx reads nothing better
        try:
            traced = torch.jit.trace(module, tuple(map(torch.zeros, shapes)), check_trace=False)  # type: ignore[no-untyped-call]
            traced.save(str(path))
        except Exception as error:  # an op raises whatever it likes
            message = f"torch.jit.trace could not record the model: {last_lines(str(error), 2)}"
            raise ConversionError("ncnn", message, REPLACE) from error


def _run_pnnx(traced: Path, shapes: Sequence[tuple[int, ...]]) -> str:
    """Write the network beside the traced model and return what pnnx printed."""
    import pnnx

    # fp16=0: pnnx would by default round to half what the plan may want exact.
    given = ",".join(f"[{','.join(map(str, shape))}]" for shape in shapes)
    command = [pnnx.EXEC_PATH, traced.name, f"inputshape={given}", "fp16=0"]
    done = subprocess.run(command, cwd=traced.parent, capture_output=True, text=True, errors="replace", check=False)
    printed = done.stdout + done.stderr
    if done.returncode != 0 or not traced.with_name("model.ncnn.bin").exists():
        message = f"pnnx ended with exit status {done.returncode}:\n{last_lines(printed, 5)}"
        raise ConversionError("ncnn", message, REPLACE)
    return printed


def _refuse_unsupported(layers: Sequence[Layer], printed: str) -> None:
    """Layers ncnn does not know, or a complaint of pnnx: it goes on after one, and the network is wrong."""
    import ncnn

    unknown = {layer.kind for layer in layers if ncnn.layer_to_index(layer.kind) < 0}
    # A pnnx.Expression computes an argument; the op it is meant for says more.
    named = sorted(unknown - {"pnnx.Expression"}) or sorted(unknown)
    reasons = [f"ncnn has no layer for {', '.join(named)}"] if named else []
    reasons += [f"pnnx says: {line.strip()}" for line in printed.splitlines() if "support" in line]
    if reasons:
        raise ConversionError("ncnn", "; ".join(reasons), REPLACE)


def _try_once(artifact: Artifact) -> None:
    """A network that loads can still fail, or give another shape, when it runs."""
    import numpy as np

    _Session(artifact, threads=1).run([np.zeros(given.shape, np.float32) for given in artifact.inputs])


def _shaped(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if values.size != math.prod(shape):
        raise ConversionError("ncnn", f"the network gives {values.shape} where the model gives {shape}", REPLACE)
    return values.reshape(shape)


def _vulkan_devices() -> int:
    import ncnn

    return int(ncnn.get_gpu_count()) if hasattr(ncnn, "get_gpu_count") else 0


class _Session:
    def __init__(self, artifact: Artifact, threads: int) -> None:
        import ncnn

        self._artifact = artifact
        self._vulkan = asked_delegate(artifact) == _VULKAN and _vulkan_devices() > 0
        self._net = ncnn.Net()
        options = self._net.opt
        options.num_threads = threads
        options.use_vulkan_compute = self._vulkan
        for option in _LOSSY_OPTIONS:
            setattr(options, option, False)
        param, weights = map(str, artifact.files)
        if self._net.load_param(param) != 0 or self._net.load_model(weights) != 0:
            raise ConversionError("ncnn", f"ncnn cannot load {param} and {weights}", "Convert the model again.")

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:

        specs = self._artifact.outputs
        # What was computed for one output is kept for the next.
        found = self.tensors(inputs, [spec.name for spec in specs], keep=len(specs) > 1)
        return tuple(_shaped(values, spec.shape) for (_, values), spec in zip(found, specs, strict=True))

    def tensors(
        self, inputs: Sequence[np.ndarray], names: Sequence[str], *, keep: bool = True
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Run once and give these tensors; `keep` what was computed for one until the others have been given."""
        import ncnn
        import numpy as np

        extractor = self._net.create_extractor()
        extractor.set_light_mode(not keep)
        # A matrix is a view of its array: a copy, lest a layer that works in place writes into the caller's.
        copies = [np.array(sample[0], np.float32, order="C") for sample in inputs]
        for given, values in zip(self._artifact.inputs, copies, strict=True):
            extractor.input(given.name, ncnn.Mat(values))
        for name in names:
            status, matrix = extractor.extract(name)
            if status != 0:
                raise ConversionError("ncnn", f"ncnn cannot run the network, it ends with status {status}", REPLACE)
            yield name, np.array(matrix, np.float32)

    def kernels(self) -> KernelUse:
        compute = [layer for layer in read_layers(self._artifact.files[0]) if layer.kind.startswith(_COMPUTE)]
        int8 = sum(map(is_int8, compute))
        kernels = KernelUse(int8=int8, total=len(compute), how="layers with INT8 scales in the .param file")
        return with_delegate(kernels, self.acceleration())

    def acceleration(self) -> Acceleration:
        asked = asked_delegate(self._artifact)
        if not self._vulkan:
            return on_cpu(asked, "ncnn finds no Vulkan device here")
        info, layers = self._net.vulkan_device().info(), self._net.layers()
        return Acceleration(
            asked,
            _VULKAN,
            device=info.device_name(),
            software=info.type() == _CPU_DEVICE,
            ops=(sum(layer.support_vulkan for layer in layers), len(layers)),
        )

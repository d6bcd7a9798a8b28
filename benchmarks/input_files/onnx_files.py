"""ONNX files: those that come with the `onnx` package, and networks in torch's two exporters and several opsets."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.version_converter
import torch
from onnx import ModelProto, TensorProto, numpy_helper
from torch import Tensor, nn

from benchmarks.architectures import Architecture, architecture
from benchmarks.architectures.randomise import random_network
from benchmarks.architectures.torchvision_package import import_torchvision
from benchmarks.input_files.subject import File, Subject

__all__ = ["onnx_subjects"]

# All but VGG19 and ZFNet, which take minutes for what AlexNet has as well.
LIGHT = ("bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet")
# Whose networks of one layer or a few come with their inputs and answers.
FOLDERS = ("simple", "pytorch-converted", "pytorch-operator")
# Pocketfit reads opset 7 and later; the older of these files are brought forward by ONNX's own converter.
OPSET = 9

# The exporter that traces, in what apps still hold, and the one on torch.export, in what it writes.
EXPORTERS = (("traced", 17), ("dynamo", 20), ("traced", 13), ("dynamo", 18), ("traced", 11), ("traced", 9))
# Before it the tracing exporter has no attention.
ATTENTION, ATTENTION_OPSET = ("transformer_encoder", "mobilevit_xxs", "vit_tiny_patch16_224"), 14
NETWORKS = (
    "gru",
    "transformer_encoder",
    "hard_swish",
    "group_norm",
    "prelu_face",
    "attention_gates",
    "yolo_head",
    "unet_bilinear",
    "pixel_shuffle",
    "mobilenet_v3_small (torchvision)",
    "shufflenet_v2_x0_5 (torchvision)",
    "mobilenetv2_050",
    "ghostnet_050",
    "resnet18",
    "convnext_atto",
    "edgenext_xx_small",
    "mobilevit_xxs",
    "vit_tiny_patch16_224",
)


def onnx_subjects() -> Iterator[Subject]:
    """All of them."""
    for name in LIGHT:
        yield Subject("onnx", f"onnx light: {name}", partial(_published, _data("light") / f"light_{name}.onnx"))
    for folder in FOLDERS:
        for case in sorted(_data(folder).iterdir()):
            if _takes_one_float(case / "model.onnx"):
                yield Subject("onnx", f"onnx {folder}: {case.name.removeprefix('test_')}", partial(_case, case))
    for index, name in enumerate(NETWORKS):
        exporter, opset = EXPORTERS[index % len(EXPORTERS)]
        opset = max(opset, ATTENTION_OPSET) if name in ATTENTION else opset
        model = f"torch {exporter} opset {opset}: {name}"
        yield Subject("onnx", model, partial(_export, architecture(name), exporter, opset))


def _data(folder: str) -> Path:
    return Path(onnx.__file__).parent / "backend" / "test" / "data" / folder


def _takes_one_float(path: Path) -> bool:
    """What is no network is left out: several inputs, texts, integers, no batch."""
    inputs = _inputs(onnx.load(path))
    tensors = [one.type.tensor_type for one in inputs]
    return len(tensors) == 1 and tensors[0].elem_type == TensorProto.FLOAT and len(tensors[0].shape.dim) > 1


def _inputs(model: ModelProto) -> list[Any]:
    weights = {tensor.name for tensor in model.graph.initializer}
    return [one for one in model.graph.input if one.name not in weights]


def _published(path: Path, folder: Path) -> File:
    """A published network; its file holds one number for all weights, and with those every image has one answer."""
    model, written = onnx.load(path), folder / path.name
    (given,) = _inputs(model)
    random, sizes = np.random.default_rng(0), {tensor.name: tensor for tensor in model.graph.initializer}
    made = [node for node in model.graph.node if node.op_type == "ConstantOfShape"]
    for node in made:
        shape = numpy_helper.to_array(sizes[node.input[0]]).tolist()
        model.graph.initializer.append(numpy_helper.from_array(_random(random, shape), node.output[0]))
        model.graph.node.remove(node)
    _cut_softmax(model)
    # Since this version weights need not be inputs as well.
    model.ir_version = max(model.ir_version, 4)
    onnx.save(model, written)
    shape = tuple(axis.dim_value for axis in given.type.tensor_type.shape.dim)[1:]
    return File(str(written), shape, _runtime(written))


def _cut_softmax(model: ModelProto) -> None:
    """With random weights it answers all images with the same class."""
    last = model.graph.node[-1]
    if last.op_type == "Softmax":
        model.graph.output[0].name = last.input[0]
        model.graph.node.remove(last)


def _random(random: np.random.Generator, shape: list[int]) -> np.ndarray:
    """Weights of a layer; what has one axis may be a variance, so it is positive."""
    if len(shape) == 1:
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    spread = (2 / np.prod(shape[1:])) ** 0.5
    return (random.standard_normal(shape) * spread).astype(np.float32)


def _case(case: Path, folder: Path) -> File:
    model, path = onnx.load(case / "model.onnx"), folder / "model.onnx"
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    onnx.save(onnx.version_converter.convert_version(model, OPSET) if opset < OPSET else model, path)
    known = tuple(
        (_tensor(inputs), _tensor(inputs.parent / "output_0.pb")) for inputs in sorted(case.glob("*/input_0.pb"))
    )
    if any(given.shape[:1] != answer.shape[:1] for given, answer in known):
        raise ValueError("it answers a batch as a whole, so that it is no model of one sample")
    return File(str(path), tuple(known[0][0].shape[1:]), _runtime(path), known)


def _tensor(path: Path) -> Tensor:
    tensor = TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return torch.from_numpy(np.array(numpy_helper.to_array(tensor)))


def _export(network: Architecture, exporter: str, opset: int, folder: Path) -> File:
    if network.origin != "zoo":
        import_torchvision()
    module, path = random_network(network), folder / "model.onnx"
    example = torch.zeros(1 if exporter == "traced" else 2, *network.input_shape)
    # The tracing exporter prints the whole graph before it gives up.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        _write(module, example, path, exporter, opset)
    return File(str(path), network.input_shape, _runtime(path))


def _write(module: nn.Module, example: Tensor, path: Path, exporter: str, opset: int) -> None:
    if exporter == "traced":
        torch.onnx.export(module, (example,), path, dynamo=False, opset_version=opset)
        return
    batch = ({0: torch.export.Dim.DYNAMIC},)
    torch.onnx.export(module, (example,), path, dynamo=True, opset_version=opset, dynamic_shapes=batch, verbose=False)


def _runtime(path: Path) -> Any:
    """ONNX Runtime on the file, one image after the other; a file for several is given the same one several times."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    times = given.shape[0] if isinstance(given.shape[0], int) else 1

    def one(image: Tensor) -> Tensor:
        batch = image.expand(times, *image.shape).contiguous().numpy()
        return torch.from_numpy(session.run(None, {given.name: batch})[0][:1])

    return lambda batch: torch.cat([one(image) for image in batch])

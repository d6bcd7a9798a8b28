"""Trained ImageNet networks as PyTorch modules, with weights read from published files.

Neither network was published for PyTorch. Their structure is written out here, and their weights are
read from a TFLite file (MobileNetV2) and from an ncnn file (SqueezeNet) in the data folder, which the
environment variable ``POCKETFIT_DATA`` names. Batch norm was folded into the convolutions before
publication, so that both consist of convolutions with biases alone.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmarks.real_data import IMAGENET_CLASSES, data_file

FloatArray = npt.NDArray[np.float32]

# Output channels, repeats and first stride of MobileNetV2's groups of blocks, after the first block.
_MOBILENET_GROUPS = ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
_MOBILENET_EXPANSION = 6

# An ncnn weight blob begins with a tag that tells how the values are stored.
_NCNN_FLOAT32 = 0
_NCNN_FLOAT16 = 0x01306B47


@dataclass(frozen=True)
class Preprocessing:
    """How to turn an 8-bit image into a network's input, ``(pixel - mean) / std``.

    Attributes:
        size: Height and width of the input in pixels; larger images are cropped at the centre, never
            resized.
        channels: Order of the colour channels in the input.
        mean: Value taken from each channel, in that order, on the 0..255 scale.
        std: Divisor of each channel, in that order, on the 0..255 scale.
    """

    size: int
    channels: Literal["RGB", "BGR"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


MOBILENET_V2_INPUT = Preprocessing(224, "RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
SQUEEZENET_V1_1_INPUT = Preprocessing(227, "BGR", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0))


def mobilenet_v2() -> nn.Module:
    """Builds MobileNetV2 1.0 for 224x224 images, with the weights of the TensorFlow 2 release.

    The weights were published as int8 with one scale per output channel. The float weights read back
    from them lie on that grid already: quantising them again in the same way loses almost nothing, and
    a measured drop is that of the activations alone.

    Returns:
        The network in evaluation mode. Input: (N, 3, 224, 224) float, RGB in -1..1. Output: (N, 1000)
        logits in the usual order of the ImageNet classes.

    Raises:
        FileNotFoundError: The weights are missing; the message names ``POCKETFIT_DATA``.
    """
    path = data_file("mobilenet_v2-int8/tf2_mobilenet_v2_1.0_224_ptq.tflite")
    net = MobileNetV2()
    *convolutions, (weight, bias) = _tflite_weights(path)
    for layer, (kernel, offset) in zip(_convolutions(net), convolutions, strict=True):
        _set_weights(layer, kernel, offset)
    # The published classifier is a 1x1 convolution for 1,001 classes, the first of them "background",
    # which has no place among the 1,000 labels.
    _set_weights(net.classifier, weight[1:, :, 0, 0], bias[1:])
    return net.eval()


def squeezenet_v1_1() -> nn.Module:
    """Builds SqueezeNet v1.1 for 227x227 images, with the weights of the Caffe release.

    The weights were stored as float16, the biases as float32.

    Returns:
        The network in evaluation mode. Input: (N, 3, 227, 227) float, BGR in 0..255 minus
        (104, 117, 123). Output: (N, 1000) logits, none below zero because a ReLU comes before the
        global average.

    Raises:
        FileNotFoundError: The weights are missing; the message names ``POCKETFIT_DATA``.
    """
    path = data_file("squeezenet-v1.1/squeezenet_v1.1.bin")
    net = SqueezeNet()
    layers = _convolutions(net)
    blobs = _ncnn_weights(path, [tuple(layer.weight.shape) for layer in layers])
    for layer, (weight, bias) in zip(layers, blobs, strict=True):
        _set_weights(layer, weight, bias)
    return net.eval()


class MobileNetV2(nn.Module):
    """MobileNetV2 with width 1.0, its batch norms folded into the convolutions."""

    def __init__(self) -> None:
        """Builds the network with random weights."""
        super().__init__()
        blocks: list[nn.Module] = [_InvertedResidual(32, 16, stride=1, expansion=1)]
        width = 16
        for channels, repeats, stride in _MOBILENET_GROUPS:
            for repeat in range(repeats):
                blocks.append(_InvertedResidual(width, channels, stride if repeat == 0 else 1))
                width = channels
        self.stem = _conv_same(3, 32, stride=2)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Conv2d(width, 1280, 1), nn.ReLU6())
        self.classifier = nn.Linear(1280, IMAGENET_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, 3, 224, 224) RGB images in -1..1 to (N, 1000) logits."""
        features: Tensor = self.head(self.blocks(self.stem(x)))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits


class _InvertedResidual(nn.Module):
    """Widens the channels, filters each one spatially and narrows them again."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int = _MOBILENET_EXPANSION) -> None:
        """Builds the block; an expansion of 1 leaves the widening convolution out."""
        super().__init__()
        width = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [nn.Conv2d(in_channels, width, 1), nn.ReLU6()]
        layers.append(_conv_same(width, width, stride, groups=width))
        # No activation after the narrow convolution: it would lose too much of so few channels.
        layers.append(nn.Conv2d(width, out_channels, 1))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride); H and W even."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


def _conv_same(in_channels: int, out_channels: int, stride: int, groups: int = 1) -> nn.Sequential:
    """Builds a 3x3 convolution and ReLU6 with TensorFlow's "SAME" padding, for even input sizes.

    At stride 2 and an even size TensorFlow pads one row below and one column to the right, and nothing
    on the other sides. PyTorch's symmetric padding would shift the filter by one pixel.
    """
    if stride == 1:
        return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=1, groups=groups), nn.ReLU6())
    return nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)),
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, groups=groups),
        nn.ReLU6(),
    )


class SqueezeNet(nn.Module):
    """SqueezeNet v1.1 without its dropout, which does nothing at inference."""

    def __init__(self) -> None:
        """Builds the network with random weights."""
        super().__init__()
        # Caffe rounds the size of a pooled map up.
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(64, 16, 64),
            _Fire(128, 16, 64),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(128, 32, 128),
            _Fire(256, 32, 128),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(256, 48, 192),
            _Fire(384, 48, 192),
            _Fire(384, 64, 256),
            _Fire(512, 64, 256),
        )
        # The published file pads this 1x1 convolution, so that the average below also takes in a
        # border that holds nothing but the bias.
        self.classifier = nn.Sequential(nn.Conv2d(512, IMAGENET_CLASSES, 1, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, 3, 227, 227) BGR images, 0..255 minus (104, 117, 123), to (N, 1000) logits."""
        scores: Tensor = self.classifier(self.features(x))
        return scores.mean((2, 3))


class _Fire(nn.Module):
    """Narrows the channels, then widens them by 1x1 and by 3x3 filters side by side."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        """Builds the module; each of the two widening convolutions gives ``expanded`` channels."""
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(in_channels, squeezed, 1), nn.ReLU())
        self.expand_1x1 = nn.Sequential(nn.Conv2d(squeezed, expanded, 1), nn.ReLU())
        self.expand_3x3 = nn.Sequential(nn.Conv2d(squeezed, expanded, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, 2 * expanded, H, W), the 1x1 filters' channels first."""
        narrow = self.squeeze(x)
        return torch.cat((self.expand_1x1(narrow), self.expand_3x3(narrow)), dim=1)


def _convolutions(net: nn.Module) -> list[nn.Conv2d]:
    """Lists a network's convolutions in the order in which they run."""
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


def _set_weights(layer: nn.Conv2d | nn.Linear, weight: FloatArray, bias: FloatArray) -> None:
    """Puts weights into a layer, in PyTorch's layout: OIHW, or OI for a linear layer.

    Raises:
        ValueError: A shape differs from the layer's, which copying might hide by broadcasting.
    """
    assert layer.bias is not None
    for parameter, values in ((layer.weight, weight), (layer.bias, bias)):
        if parameter.shape != values.shape:
            raise ValueError(f"weights of shape {values.shape} for a layer of {tuple(parameter.shape)}")
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def _tflite_weights(path: Path) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Reads the convolutions of a quantised TFLite file as float.

    Args:
        path: The file.

    Yields:
        Weight (OIHW; one input channel per filter if depthwise) and bias (O) in execution order.
    """
    # Imported by name, and only here: the package has no type information, and SqueezeNet needs none
    # of it. The operators are listed without delegates, which would fuse them into one.
    litert = import_module("ai_edge_litert.interpreter")
    plain = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = litert.Interpreter(str(path), experimental_op_resolver_type=plain)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    # From OHWI, and from (1, H, W, O) for a depthwise convolution, to OIHW.
    layouts = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2)}
    for operator in interpreter._get_ops_details():
        if operator["op_name"] in layouts:
            weight, bias = (
                _dequantize(interpreter.get_tensor(index), details[index]["quantization_parameters"])
                for index in operator["inputs"][1:]
            )
            yield weight.transpose(layouts[operator["op_name"]]), bias


def _dequantize(values: npt.NDArray[Any], parameters: dict[str, Any]) -> FloatArray:
    """Turns integers into floats, ``(values - zero point) * scale``, per tensor or per channel."""
    shape = [1] * values.ndim
    shape[parameters["quantized_dimension"]] = -1
    zero_points = parameters["zero_points"].reshape(shape)
    scales = parameters["scales"].reshape(shape)
    floats: FloatArray = ((values.astype(np.float64) - zero_points) * scales).astype(np.float32)
    return floats


def _ncnn_weights(path: Path, shapes: Sequence[tuple[int, ...]]) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Reads the convolutions of an ncnn weight file.

    Args:
        path: The file: a tag, a weight and a float32 bias for each convolution.
        shapes: Weight shapes (OIHW) in the file's order.

    Yields:
        Weight (OIHW) and bias (O) in the file's order.

    Raises:
        ValueError: The file does not fit the shapes.
    """
    data = path.read_bytes()
    position = 0
    for shape in shapes:
        (tag,) = struct.unpack_from("<I", data, position)
        if tag not in (_NCNN_FLOAT32, _NCNN_FLOAT16):
            raise ValueError(f"{path.name}: unknown weight tag {tag:#x} at byte {position}")
        stored = np.dtype("<f2" if tag == _NCNN_FLOAT16 else "<f4")
        count = math.prod(shape)
        weight = np.frombuffer(data, stored, count, position + 4).astype(np.float32)
        # The bias begins at a multiple of four bytes.
        position += 4 + -(-count * stored.itemsize // 4) * 4
        yield weight.reshape(shape), np.frombuffer(data, "<f4", shape[0], position).astype(np.float32)
        position += 4 * shape[0]
    if position != len(data):
        raise ValueError(f"{path.name}: {len(data) - position} bytes left over")

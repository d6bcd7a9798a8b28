"""Small networks of the kinds that quantize badly, trained by the benchmarks themselves.

The two convolutional networks have what makes plain INT8 lose accuracy: depthwise convolutions, smooth
activations without an upper bound and squeeze-excite gates. Weights are made by
:mod:`benchmarks.train_small_nets` on first use and kept outside the repository.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pocketfit.contract import Color, Contract

_CIFAR_CLASSES = 10
_CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
_CIFAR_STD = (0.2470, 0.2435, 0.2616)
MOBILENET_V3_CIFAR_INPUT = Contract(mean=_CIFAR_MEAN, std=_CIFAR_STD)
EFFICIENTNET_CIFAR_INPUT = Contract(mean=_CIFAR_MEAN, std=_CIFAR_STD)
# Only the app needs it: the file of `real_data.mnist_npz` holds floats, which are taken as they are.
SMALL_VIT_INPUT = Contract(color=Color.GRAY)


def mobilenet_v3_cifar() -> nn.Module:
    """Builds a MobileNetV3-style network for CIFAR-10 with trained weights, training it first if need be.

    Returns:
        The network in evaluation mode. Input: (N, 3, 32, 32) float, RGB, normalised as
        ``MOBILENET_V3_CIFAR_INPUT`` says. Output: (N, 10) logits.

    Raises:
        FileNotFoundError: There are no weights yet and the training data is missing.
    """
    return _trained("mobilenet_v3_cifar", MobileNetV3Cifar())


def efficientnet_cifar() -> nn.Module:
    """Builds an EfficientNet-style network for CIFAR-10 with trained weights, training it first if need be.

    Returns:
        The network in evaluation mode. Input: (N, 3, 32, 32) float, RGB, normalised as
        ``EFFICIENTNET_CIFAR_INPUT`` says. Output: (N, 10) logits.

    Raises:
        FileNotFoundError: There are no weights yet and the training data is missing.
    """
    return _trained("efficientnet_cifar", EfficientNetCifar())


def small_vit() -> nn.Module:
    """Builds a small vision transformer for MNIST with trained weights, training it first if need be.

    Returns:
        The network in evaluation mode. Input: (N, 1, 28, 28) float, white on black in 0..1. Output:
        (N, 10) logits.

    Raises:
        FileNotFoundError: There are no weights yet and the training data is missing.
    """
    return _trained("small_vit", SmallViT())


def _trained(name: str, net: nn.Module) -> nn.Module:
    # Imported late because the training imports the networks of this module.
    from benchmarks.train_small_nets import trained_weights

    net.load_state_dict(torch.load(trained_weights(name), map_location="cpu", weights_only=True))
    return net.eval()


@dataclass(frozen=True)
class _Block:
    """One inverted residual block.

    Attributes:
        kernel: Side of the depthwise kernel.
        width: Channels after the widening convolution; the number that comes in leaves it out.
        channels: Channels that leave the block.
        stride: Stride of the depthwise convolution.
        squeeze: Channels inside the squeeze-excite gate; 0 for no gate.
        activation: The class of the activations.
    """

    kernel: int
    width: int
    channels: int
    stride: int
    squeeze: int
    activation: type[nn.Module]


_MOBILENET_STEM = 16
_MOBILENET_BLOCKS = (
    _Block(3, 16, 16, 2, 8, nn.ReLU),
    _Block(3, 64, 24, 1, 0, nn.ReLU),
    _Block(3, 72, 24, 1, 0, nn.ReLU),
    _Block(5, 72, 40, 2, 24, nn.Hardswish),
    _Block(5, 120, 40, 1, 32, nn.Hardswish),
    _Block(3, 160, 48, 1, 40, nn.Hardswish),
    _Block(5, 192, 80, 2, 48, nn.Hardswish),
    _Block(5, 320, 80, 1, 80, nn.Hardswish),
)
_MOBILENET_HEAD = 320
_MOBILENET_HIDDEN = 256

_EFFICIENTNET_STEM = 16
_EFFICIENTNET_BLOCKS = (
    _Block(3, 16, 16, 2, 4, nn.SiLU),
    _Block(3, 64, 24, 1, 4, nn.SiLU),
    _Block(3, 72, 24, 1, 6, nn.SiLU),
    _Block(5, 72, 40, 2, 6, nn.SiLU),
    _Block(5, 120, 40, 1, 10, nn.SiLU),
    _Block(3, 160, 48, 1, 10, nn.SiLU),
    _Block(5, 192, 80, 2, 12, nn.SiLU),
    _Block(5, 320, 80, 1, 20, nn.SiLU),
)
_EFFICIENTNET_HEAD = 320


class MobileNetV3Cifar(nn.Module):
    """A MobileNetV3 (arXiv 1905.02244) cut down to 32x32 images."""

    input_shape = (3, 32, 32)
    preprocess = MOBILENET_V3_CIFAR_INPUT

    def __init__(self) -> None:
        """Builds the network with random weights."""
        super().__init__()
        self.stem = _conv_norm(3, _MOBILENET_STEM, 3, nn.Hardswish)
        self.blocks = _blocks(_MOBILENET_STEM, _MOBILENET_BLOCKS, nn.ReLU, nn.Hardsigmoid)
        self.head = _conv_norm(_MOBILENET_BLOCKS[-1].channels, _MOBILENET_HEAD, 1, nn.Hardswish)
        self.hidden = nn.Sequential(nn.Linear(_MOBILENET_HEAD, _MOBILENET_HIDDEN), nn.Hardswish())
        self.classifier = nn.Linear(_MOBILENET_HIDDEN, _CIFAR_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, 3, 32, 32) images to (N, 10) logits."""
        features: Tensor = self.head(self.blocks(self.stem(x)))
        logits: Tensor = self.classifier(self.hidden(features.mean((2, 3))))
        return logits


class EfficientNetCifar(nn.Module):
    """An EfficientNet (arXiv 1905.11946) cut down to 32x32 images."""

    input_shape = (3, 32, 32)
    preprocess = EFFICIENTNET_CIFAR_INPUT

    def __init__(self) -> None:
        """Builds the network with random weights."""
        super().__init__()
        self.stem = _conv_norm(3, _EFFICIENTNET_STEM, 3, nn.SiLU)
        self.blocks = _blocks(_EFFICIENTNET_STEM, _EFFICIENTNET_BLOCKS, nn.SiLU, nn.Sigmoid)
        self.head = _conv_norm(_EFFICIENTNET_BLOCKS[-1].channels, _EFFICIENTNET_HEAD, 1, nn.SiLU)
        self.classifier = nn.Linear(_EFFICIENTNET_HEAD, _CIFAR_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, 3, 32, 32) images to (N, 10) logits."""
        features: Tensor = self.head(self.blocks(self.stem(x)))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits


def _blocks(
    channels: int, blocks: tuple[_Block, ...], squeeze: type[nn.Module], gate: type[nn.Module]
) -> nn.Sequential:
    layers = []
    for block in blocks:
        layers.append(_InvertedResidual(channels, block, squeeze, gate))
        channels = block.channels
    return nn.Sequential(*layers)


class _InvertedResidual(nn.Module):
    """Widens the channels, filters each one spatially, weighs them and narrows them again."""

    def __init__(self, channels: int, block: _Block, squeeze: type[nn.Module], gate: type[nn.Module]) -> None:
        super().__init__()
        width, act = block.width, block.activation
        layers: list[nn.Module] = []
        if width != channels:
            layers.append(_conv_norm(channels, width, 1, act))
        layers.append(_conv_norm(width, width, block.kernel, act, stride=block.stride, groups=width))
        if block.squeeze:
            layers.append(_SqueezeExcite(width, block.squeeze, squeeze, gate))
        layers.append(_conv_norm(width, block.channels, 1))
        self.layers = nn.Sequential(*layers)
        self.residual = block.stride == 1 and channels == block.channels

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, channels, H, W) to (N, block.channels, H / stride, W / stride); H and W even."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class _SqueezeExcite(nn.Module):
    """Multiplies each channel by a gate computed from the averages of all channels."""

    def __init__(self, channels: int, width: int, activation: type[nn.Module], gate: type[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, width, 1), activation(), nn.Conv2d(width, channels, 1), gate())

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        scale: Tensor = self.layers(x.mean((2, 3), keepdim=True))
        return x * scale


def _conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int,
    activation: type[nn.Module] | None = None,
    stride: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(out_channels)]
    return nn.Sequential(*layers, activation()) if activation else nn.Sequential(*layers)


_VIT_IMAGE = 28
_VIT_PATCH = 4
_VIT_TOKENS = (_VIT_IMAGE // _VIT_PATCH) ** 2
_VIT_DIM = 64
_VIT_DEPTH = 4
_VIT_HEADS = 4
_VIT_CLASSES = 10


class SmallViT(nn.Module):
    """A vision transformer (arXiv 2010.11929) of four layers without a class token."""

    input_shape = (1, _VIT_IMAGE, _VIT_IMAGE)
    preprocess = SMALL_VIT_INPUT

    def __init__(self) -> None:
        """Builds the network with random weights."""
        super().__init__()
        self.patches = nn.Conv2d(1, _VIT_DIM, _VIT_PATCH, _VIT_PATCH)
        self.positions = nn.Parameter(torch.randn(1, _VIT_TOKENS, _VIT_DIM) * 0.02)
        self.layers = nn.Sequential(*(_EncoderLayer() for _ in range(_VIT_DEPTH)))
        self.norm = nn.LayerNorm(_VIT_DIM)
        self.classifier = nn.Linear(_VIT_DIM, _VIT_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, 1, 28, 28) images to (N, 10) logits."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.classifier(self.norm(self.layers(tokens)).mean(1))
        return logits


class _EncoderLayer(nn.Module):
    """Self-attention and a perceptron, each with its norm before it and a residual around it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(_VIT_DIM)
        self.attention = _Attention()
        self.mlp_norm = nn.LayerNorm(_VIT_DIM)
        self.mlp = nn.Sequential(nn.Linear(_VIT_DIM, 2 * _VIT_DIM), nn.GELU(), nn.Linear(2 * _VIT_DIM, _VIT_DIM))

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape (N, tokens, dim)."""
        x = x + self.attention(self.attention_norm(x))
        y: Tensor = self.mlp(self.mlp_norm(x))
        return x + y


class _Attention(nn.Module):
    """Multi-head self-attention with one linear layer each for queries, keys and values.

    The usual fused layer would make a 5-D tensor, which phone runtimes handle badly or not at all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(_VIT_DIM, _VIT_DIM)
        self.key = nn.Linear(_VIT_DIM, _VIT_DIM)
        self.value = nn.Linear(_VIT_DIM, _VIT_DIM)
        self.out = nn.Linear(_VIT_DIM, _VIT_DIM)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape (N, tokens, dim)."""
        query, key, value = (_split_heads(layer(x)) for layer in (self.query, self.key, self.value))
        scores = query @ key.transpose(2, 3) * (_VIT_DIM // _VIT_HEADS) ** -0.5
        mixed = scores.softmax(-1) @ value
        y: Tensor = self.out(mixed.transpose(1, 2).reshape(-1, _VIT_TOKENS, _VIT_DIM))
        return y


def _split_heads(x: Tensor) -> Tensor:
    return x.reshape(-1, _VIT_TOKENS, _VIT_HEADS, _VIT_DIM // _VIT_HEADS).transpose(1, 2)

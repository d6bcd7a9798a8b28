"""Networks of the AI Hub table that no package builds: from their papers, with as many parameters as the table says.

Weights are random: only layers and their sizes count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

__all__ = [
    "Best",
    "Block",
    "clip",
    "deeplab_mobilenet",
    "depth_anything",
    "detr",
    "esrgan",
    "face_resnet",
    "gated_transformer",
    "keys_and_values",
    "pose_mobilenet",
    "pyramid_parser",
    "unet",
    "video_transformer",
    "yolov5",
    "yolov8",
    "yolox",
]


class Block(nn.Module):
    """A transformer's layer, which looks at another sequence as well if it decodes.

    Source: Vaswani et al., "Attention Is All You Need", 2017, figure 1.
    """

    def __init__(self, width: int, heads: int, inner: int, *, decodes: bool = False) -> None:
        super().__init__()
        self.attend = _Attention(width, heads)
        self.attend_other = _Attention(width, heads) if decodes else None
        self.wide, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if decodes else 2))

    def forward(self, x: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
        """From sequences of batch × rows × width."""
        x = self.norms[0](x + self.attend(x, x))
        if self.attend_other is not None and other is not None:
            x = self.norms[2](x + self.attend_other(x, other))
        y: torch.Tensor = self.norms[1](x + self.narrow(functional.gelu(self.wide(x))))
        return y


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        batch, rows, width = x.shape
        query, key, value = (self._split(one) for one in (self.query(x), self.key(other), self.value(other)))
        mixed = functional.scaled_dot_product_attention(query, key, value)
        y: torch.Tensor = self.out(mixed.transpose(1, 2).reshape(batch, rows, width))
        return y

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        batch, rows, width = x.shape
        return x.reshape(batch, rows, self.heads, width // self.heads).transpose(1, 2)


def _convolution(
    inputs: int, filters: int, kernel: int = 3, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, filters, kernel, stride, padding, dilation=dilation, groups=groups)


def _rectified(inputs: int, filters: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    return [_convolution(inputs, filters, kernel, stride, dilation), nn.ReLU()]


class _Sum(nn.Module):
    """A branch added to its input, or to what a second branch makes of it."""

    def __init__(self, branch: nn.Module, other: nn.Module | None = None, *, rectify: bool = False) -> None:
        super().__init__()
        self.branch, self.other, self.rectify = branch, other or nn.Identity(), rectify

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.branch(x) + self.other(x)
        return functional.relu(y) if self.rectify else y


class _Resize(nn.Module):
    def __init__(self, size: tuple[int, int], mode: str) -> None:
        super().__init__()
        self.size, self.mode = size, mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, self.size, mode=self.mode)


class _Joined(nn.Module):
    """What several branches make of an input, one after another in channels."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Best(nn.Module):
    """The best score along one dimension, which takes as long to find as the class that has it."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From scores of classes."""
        return x.amax(self.dimension)


# Transformers.


def video_transformer() -> nn.Module:
    """From 16 frames, cut into 1568 patches of 2 x 16 x 16.

    Source: Tong et al., "VideoMAE", 2022, table 1 and section 4: ViT-B.
    """
    return nn.Sequential(nn.Linear(1536, 768), *(Block(768, 12, 3072) for _ in range(12)))


class _KeysAndValues(nn.Module):
    """What the layers of a decoder look up."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(width, width) for _ in range(2 * depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([project(x) for project in self.projections], -1)


def keys_and_values(width: int, depth: int) -> nn.Module:
    """Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.2.3."""
    return _KeysAndValues(width, depth)


class _Gated(nn.Module):
    """A transformer's layer whose inner numbers are gated.

    Source: Shazeer, "GLU Variants Improve Transformer", 2020, equation 6.
    """

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.attend = _Attention(width, heads)
        self.gate, self.wide = nn.Linear(width, inner), nn.Linear(width, inner)
        self.narrow = nn.Linear(inner, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norms[0](x + self.attend(x, x))
        y: torch.Tensor = self.norms[1](x + self.narrow(functional.silu(self.gate(x)) * self.wide(x)))
        return y


class _Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(1)


def gated_transformer() -> nn.Module:
    """Source: Nussbaum et al., "Nomic Embed", 2024, section 3, without its turned positions."""
    return nn.Sequential(*(_Gated(768, 12, 3072) for _ in range(12)), _Mean(), nn.LayerNorm(768))


class _Clip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 768, 16, 16)
        self.seen = nn.Sequential(*(Block(768, 12, 3072) for _ in range(12)))
        self.read = nn.Sequential(*(Block(512, 8, 2048) for _ in range(12)))
        self.words = nn.Parameter(torch.zeros(1, 77, 512))
        self.project, self.project_words = nn.Linear(768, 512), nn.Linear(512, 512)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.seen(self.cut(x).flatten(2).transpose(1, 2))
        # The words are no constant: they come with the picture.
        read = self.read(self.words + seen[:, :1, :512])
        return (self.project(seen[:, 0]) * self.project_words(read[:, 0])).sum(-1)


def clip() -> nn.Module:
    """Source: Radford et al., "Learning Transferable Visual Models", 2021, section 2.4, with ViT-B/16."""
    return _Clip()


class _Detr(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.project = backbone, nn.Conv2d(2048, 256, 1)
        self.encoder = nn.ModuleList(Block(256, 8, 2048) for _ in range(6))
        self.decoder = nn.ModuleList(Block(256, 8, 2048, decodes=True) for _ in range(6))
        self.queries = nn.Parameter(torch.zeros(1, 100, 256))
        self.classes = nn.Linear(256, 92)
        self.boxes = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.project(self.backbone(x)).flatten(2).transpose(1, 2)
        for block in self.encoder:
            seen = block(seen)
        found: torch.Tensor = self.queries
        for block in self.decoder:
            found = block(found, seen)
        return torch.cat([self.classes(found), self.boxes(found).sigmoid()], -1)


def detr(depth: int, *, dilated: bool = False) -> nn.Module:
    """Source: Carion et al., "End-to-End Object Detection with Transformers", 2020, section 4; "dc5" is dilated."""
    return _Detr(_resnet(depth, dilated_stages=1 if dilated else 0))


# ResNets.


def _resnet(depth: int, *, dilated_stages: int, deep_stem: bool = False) -> nn.Module:
    """Features of a ResNet with bottlenecks, the last stages dilated instead of strided.

    Source: He et al., "Deep Residual Learning", 2015, table 1; Yu and Koltun, "Multi-Scale Context Aggregation by
    Dilated Convolutions", 2016.
    """
    layers: list[nn.Module] = _rectified(3, 64, 7, 2)
    channels = 64
    if deep_stem:
        layers, channels = [*_rectified(3, 64, 3, 2), *_rectified(64, 64), *_rectified(64, 128)], 128
    layers.append(nn.MaxPool2d(3, 2, 1))
    dilation = 1
    for stage, blocks in enumerate({50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}[depth]):
        is_dilated = stage >= 4 - dilated_stages
        dilation *= 2 if is_dilated else 1
        for block in range(blocks):
            stride = 2 if block == 0 and stage and not is_dilated else 1
            layers.append(_bottleneck(channels, 64 * 2**stage, stride, dilation))
            channels = 256 * 2**stage
    return nn.Sequential(*layers)


def _bottleneck(channels: int, width: int, stride: int, dilation: int) -> nn.Module:
    branch = [*_rectified(channels, width, 1), *_rectified(width, width, 3, stride, dilation)]
    other = None if channels == 4 * width else _convolution(channels, 4 * width, 1, stride)
    return _Sum(nn.Sequential(*branch, _convolution(width, 4 * width, 1)), other, rectify=True)


def pyramid_parser(side: int, classes: int = 150) -> nn.Module:
    """On ResNet-101 with a stem of three layers.

    Source: Zhao et al., "Pyramid Scene Parsing Network", 2017, section 3.
    """
    small = (side + 7) // 8
    resize = _Resize((small, small), "bilinear")
    pools = [
        nn.Sequential(nn.AdaptiveAvgPool2d(1), *_rectified(2048, 512, 1), resize),
        *(nn.Sequential(nn.AvgPool2d(small // bins), *_rectified(2048, 512, 1), resize) for bins in (2, 3, 6)),
    ]
    head = [_Joined([nn.Identity(), *pools]), *_rectified(4096, 512), _convolution(512, classes, 1)]
    whole = [_resnet(101, dilated_stages=2, deep_stem=True), *head, _Resize((side, side), "bilinear")]
    return _Mirrored(nn.Sequential(*whole))


class _Mirrored(nn.Module):
    """What a network makes of a picture, run on its mirror image as well."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.network(torch.cat([x, x.flip(3)], 0))[:1]
        return y


def face_resnet() -> nn.Module:
    """Of 100 layers, with PReLU and squeeze-and-excitation.

    Source: Deng et al., "ArcFace", 2019, section 3.1; Hu et al., "Squeeze-and-Excitation Networks", 2018.
    """
    layers: list[nn.Module] = [_convolution(3, 64), nn.PReLU(64)]
    channels = 64
    for width, blocks in ((64, 3), (128, 13), (256, 30), (512, 3)):
        for block in range(blocks):
            stride = 2 if block == 0 else 1
            inner = [_convolution(channels, width), nn.PReLU(width), _convolution(width, width, 3, stride)]
            other: nn.Module | None = nn.MaxPool2d(1, stride) if stride > 1 else None
            if channels != width:
                other = _convolution(channels, width, 1, stride)
            layers.append(_Sum(nn.Sequential(*inner, _Excited(width)), other))
            channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512 * 49, 512))


class _Excited(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        squeeze = [nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width // 16, 1), nn.ReLU()]
        self.gate = nn.Sequential(*squeeze, nn.Conv2d(width // 16, width, 1), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x * self.gate(x)
        return y


# MobileNets.


def pose_mobilenet() -> nn.Module:
    """MobileNet 1.0 with a stride of 16 and four heads of 17 points.

    Source: Papandreou et al., "PersonLab", 2018, section 3; Howard et al., "MobileNets", 2017, table 1.
    """
    plan = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 1), (1024, 1))
    layers = _rectified(3, 32, 3, 2)
    channels = 32
    for filters, stride in plan:
        depthwise = _convolution(channels, channels, 3, stride, groups=channels)
        layers += [depthwise, nn.ReLU6(), _convolution(channels, filters, 1), nn.ReLU6()]
        channels = filters
    return nn.Sequential(*layers, _Joined([nn.Conv2d(1024, heads, 1) for heads in (17, 34, 32, 32)]))


def _inverted(channels: int, filters: int, stride: int, dilation: int, times: int) -> nn.Module:
    """Source: Sandler et al., "MobileNetV2", 2018, table 1."""
    wide = channels * times
    expand = [_convolution(channels, wide, 1), nn.ReLU6()] if times > 1 else []
    depthwise = _convolution(wide, wide, 3, stride, dilation, groups=wide)
    branch = nn.Sequential(*expand, depthwise, nn.ReLU6(), _convolution(wide, filters, 1))
    return _Sum(branch) if stride == 1 and channels == filters else branch


class _DeepLab(nn.Module):
    def __init__(self, side: int, classes: int) -> None:
        super().__init__()
        first: list[nn.Module] = [_convolution(3, 32, 3, 2), nn.ReLU6()]
        channels, early = 32, len(first)
        for times, filters, blocks, stride, dilation in _MOBILENET_V2:
            for block in range(blocks):
                first.append(_inverted(channels, filters, stride if block == 0 else 1, dilation, times))
                channels = filters
            early = len(first) if filters == 24 else early
        self.low, self.high = nn.Sequential(*first[:early]), nn.Sequential(*first[early:])
        small = (side + 15) // 16
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_rectified(320, 256, 1), _Resize((small, small), "bilinear"))
        rates = [nn.Sequential(*_rectified(320, 256, 3, 1, rate)) for rate in (6, 12, 18)]
        self.context = nn.Sequential(
            _Joined([nn.Sequential(*_rectified(320, 256, 1)), *rates, pooled]), *_rectified(1280, 256, 1)
        )
        quarter = (side + 3) // 4
        self.grow, self.reduce = _Resize((quarter, quarter), "bilinear"), nn.Sequential(*_rectified(24, 48, 1))
        last = [*_rectified(304, 256), *_rectified(256, 256), _convolution(256, classes, 1)]
        self.last = nn.Sequential(*last, _Resize((side, side), "bilinear"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = self.low(x)
        y: torch.Tensor = self.last(torch.cat([self.grow(self.context(self.high(low))), self.reduce(low)], 1))
        return y


# Expansion, filters, blocks, stride and dilation, with a stride of 16 in all.
_MOBILENET_V2 = (
    (1, 16, 1, 1, 1),
    (6, 24, 2, 2, 1),
    (6, 32, 3, 2, 1),
    (6, 64, 4, 2, 1),
    (6, 96, 3, 1, 1),
    (6, 160, 3, 1, 2),
    (6, 320, 1, 1, 2),
)


def deeplab_mobilenet(side: int = 520, classes: int = 21) -> nn.Module:
    """Source: Chen et al., "Encoder-Decoder with Atrous Separable Convolution", 2018, section 3, on MobileNetV2."""
    return nn.Sequential(_DeepLab(side, classes), Best(1))


class _Unet(nn.Module):
    def __init__(self, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.first = _two(3, widths[0])
        self.down = nn.ModuleList(nn.Sequential(nn.MaxPool2d(2), _two(one, other)) for one, other in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(other, one, 2, 2) for one, other in reversed(pairs))
        self.joined = nn.ModuleList(_two(2 * one, one) for one, _ in reversed(pairs))
        self.last = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = [self.first(x)]
        for down in self.down:
            seen.append(down(seen[-1]))
        y = seen.pop()
        for up, joined in zip(self.up, self.joined, strict=True):
            y = joined(torch.cat([seen.pop(), up(y)], 1))
        answer: torch.Tensor = self.last(y)
        return answer


def _two(channels: int, filters: int) -> nn.Module:
    return nn.Sequential(*_rectified(channels, filters), *_rectified(filters, filters))


def unet() -> nn.Module:
    """Source: Ronneberger et al., "U-Net", 2015, figure 1, padded."""
    return _Unet((64, 128, 256, 512, 1024), 2)


# Pictures to pictures.


class _Dense(nn.Module):
    """Five convolutions, each of all before it; three such in a row are a block."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_convolution(64 + 32 * one, 32 if one < 4 else 64) for one in range(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = [x]
        for layer in self.layers[:-1]:
            seen.append(functional.leaky_relu(layer(torch.cat(seen, 1)), 0.2))
        y: torch.Tensor = x + 0.2 * self.layers[-1](torch.cat(seen, 1))
        return y


class _Scaled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.2 * x


def esrgan(side: int = 128) -> nn.Module:
    """Source: Wang et al., "ESRGAN", 2018, section 3.1: 23 blocks of 64 channels, four times the side."""
    blocks = [_Sum(nn.Sequential(_Dense(), _Dense(), _Dense(), _Scaled())) for _ in range(23)]
    trunk = _Sum(nn.Sequential(*blocks, _convolution(64, 64)))
    grown = [
        layer
        for times in (2, 4)
        for layer in (_Resize((times * side,) * 2, "nearest"), _convolution(64, 64), nn.LeakyReLU(0.2))
    ]
    last = [_convolution(64, 64), nn.LeakyReLU(0.2), _convolution(64, 3)]
    return nn.Sequential(_convolution(3, 64), trunk, *grown, *last)


# YOLO.


def _swish(inputs: int, filters: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, filters, kernel, stride), nn.SiLU())


class _Split(nn.Module):
    """Half of the channels go through blocks in a row, and what each of them gives is joined."""

    def __init__(self, inputs: int, filters: int, blocks: int, *, adds: bool) -> None:
        super().__init__()
        half = filters // 2
        pairs = [nn.Sequential(_swish(half, half), _swish(half, half)) for _ in range(blocks)]
        self.before = _swish(inputs, filters, 1)
        self.blocks = nn.ModuleList(_Sum(pair) if adds else pair for pair in pairs)
        self.after = _swish((2 + blocks) * half, filters, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = list(self.before(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        y: torch.Tensor = self.after(torch.cat(parts, 1))
        return y


class _Pooled(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.after = _swish(width, width // 2, 1), _swish(2 * width, width, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [self.before(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        y: torch.Tensor = self.after(torch.cat(parts, 1))
        return y


class _Yolo(nn.Module):
    """Boxes as the mean of a distribution of 16 bins for each side, and 80 classes; masks if asked for.

    Source: Jocher et al., "Ultralytics YOLO", 2023, `yolov8.yaml`; Li et al., "Generalized Focal Loss", 2020.
    """

    def __init__(self, depth: float, width: float, most: int, masks: int) -> None:
        super().__init__()
        w = [int(min(one, most) * width) for one in (64, 128, 256, 512, 1024)]
        n = [max(round(one * depth), 1) for one in (3, 6)]
        self.first = nn.Sequential(
            _swish(3, w[0], 3, 2),
            _swish(w[0], w[1], 3, 2),
            _Split(w[1], w[1], n[0], adds=True),
            _swish(w[1], w[2], 3, 2),
            _Split(w[2], w[2], n[1], adds=True),
        )
        self.second = nn.Sequential(_swish(w[2], w[3], 3, 2), _Split(w[3], w[3], n[1], adds=True))
        self.third = nn.Sequential(_swish(w[3], w[4], 3, 2), _Split(w[4], w[4], n[0], adds=True), _Pooled(w[4]))
        self.up = nn.ModuleList(
            [_Split(w[3] + w[4], w[3], n[0], adds=False), _Split(w[2] + w[3], w[2], n[0], adds=False)]
        )
        self.strided = nn.ModuleList([_swish(w[2], w[2], 3, 2), _swish(w[3], w[3], 3, 2)])
        self.down = nn.ModuleList(
            [_Split(w[2] + w[3], w[3], n[0], adds=False), _Split(w[3] + w[4], w[4], n[0], adds=False)]
        )
        levels = w[2:]
        self.boxes = nn.ModuleList(_head(one, max(16, w[2] // 4, 64), 64) for one in levels)
        self.classes = nn.ModuleList(_head(one, max(w[2], 80), 80) for one in levels)
        self.masks = nn.ModuleList(_head(one, max(w[2] // 4, masks), masks) for one in levels if masks)
        proto = int(min(256, most) * width)
        self.prototypes = (
            nn.Sequential(
                _swish(w[2], proto),
                nn.ConvTranspose2d(proto, proto, 2, 2),
                _swish(proto, proto),
                _swish(proto, masks, 1),
            )
            if masks
            else None
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        second = self.second(first)
        third = self.third(second)
        middle = self.up[0](torch.cat([_twice(third), second], 1))
        large = self.up[1](torch.cat([_twice(middle), first], 1))
        middle = self.down[0](torch.cat([self.strided[0](large), middle], 1))
        small = self.down[1](torch.cat([self.strided[1](middle), third], 1))
        levels = (large, middle, small)
        boxes = _along(self.boxes, levels)
        bins = boxes.reshape(1, 4, 16, boxes.shape[-1]).softmax(2) * torch.arange(16.0).reshape(1, 1, 16, 1)
        found = [bins.sum(2), _along(self.classes, levels).sigmoid().amax(1, keepdim=True)]
        if self.prototypes is not None:
            found.append(_along(self.masks, levels))
            return torch.cat([torch.cat(found, 1).flatten(1), self.prototypes(large).flatten(1)], 1)
        return torch.cat(found, 1)


def _along(heads: Iterable[nn.Module], levels: Iterable[torch.Tensor]) -> torch.Tensor:
    """What heads make of levels, one after another: batch × outputs × places."""
    return torch.cat([head(one).flatten(2) for head, one in zip(heads, levels, strict=True)], 2)


def _twice(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def _head(inputs: int, width: int, outputs: int) -> nn.Module:
    return nn.Sequential(_swish(inputs, width), _swish(width, width), nn.Conv2d(width, outputs, 1))


def yolov8(size: str, *, masks: bool = False) -> nn.Module:
    """Of size "n", "s" or "x"."""
    depth, width, most = {"n": (0.33, 0.25, 1024), "s": (0.33, 0.5, 1024), "x": (1.0, 1.25, 512)}[size]
    return _Yolo(depth, width, most, 32 if masks else 0)


class _Partial(nn.Module):
    """Blocks in a row on half of the channels, beside the other half.

    Source: Wang et al., "CSPNet", 2020, figure 3.
    """

    def __init__(self, inputs: int, filters: int, blocks: int, *, adds: bool) -> None:
        super().__init__()
        half = filters // 2
        pairs = [nn.Sequential(_swish(half, half, 1), _swish(half, half)) for _ in range(blocks)]
        self.row = nn.Sequential(_swish(inputs, half, 1), *(_Sum(pair) if adds else pair for pair in pairs))
        self.beside, self.after = _swish(inputs, half, 1), _swish(filters, filters, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.after(torch.cat([self.row(x), self.beside(x)], 1))
        return y


class _PathYolo(nn.Module):
    """Features of three sizes, exchanged upwards and downwards, and a head for each.

    Source: Jocher, "YOLOv5", 2020, `yolov5s.yaml`; Ge et al., "YOLOX", 2021, section 2.
    """

    def __init__(
        self, width: Sequence[int], blocks: Sequence[int], stem: nn.Module, heads: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        a, b, c, d, e = width
        few, some, many = blocks
        first = [stem, _swish(a, b, 3, 2), _Partial(b, b, few, adds=True)]
        self.first = nn.Sequential(*first, _swish(b, c, 3, 2), _Partial(c, c, some, adds=True))
        self.second = nn.Sequential(_swish(c, d, 3, 2), _Partial(d, d, many, adds=True))
        self.third = nn.Sequential(_swish(d, e, 3, 2), _Partial(e, e, few, adds=True), _Pooled(e), _swish(e, d, 1))
        self.middle = nn.Sequential(_Partial(2 * d, d, few, adds=False), _swish(d, c, 1))
        self.large = _Partial(2 * c, c, few, adds=False)
        self.strided = nn.ModuleList([_swish(c, c, 3, 2), _swish(d, d, 3, 2)])
        self.down = nn.ModuleList([_Partial(2 * c, d, few, adds=False), _Partial(2 * d, e, few, adds=False)])
        self.heads = nn.ModuleList(heads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        second = self.second(first)
        small = self.third(second)
        middle = self.middle(torch.cat([_twice(small), second], 1))
        large = self.large(torch.cat([_twice(middle), first], 1))
        second = self.down[0](torch.cat([self.strided[0](large), middle], 1))
        third = self.down[1](torch.cat([self.strided[1](second), small], 1))
        found = _along(self.heads, (large, second, third)).sigmoid()
        found = found.reshape(1, -1, 85, found.shape[-1])
        return torch.cat([found[:, :, :5], found[:, :, 5:].amax(2, keepdim=True)], 2)


def yolov5() -> nn.Module:
    """Of size "m", with 85 figures for each of three boxes at each place."""
    width = (48, 96, 192, 384, 768)
    stem = nn.Sequential(nn.Conv2d(3, width[0], 6, 2, 2), nn.SiLU())
    return _PathYolo(width, (2, 4, 6), stem, [nn.Conv2d(one, 255, 1) for one in width[2:]])


class _Focus(nn.Module):
    """Pictures of half the side and four times the channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)


def yolox() -> nn.Module:
    """Of size "s"."""
    width = (32, 64, 128, 256, 512)
    heads = [
        nn.Sequential(
            _swish(one, 128, 1),
            _Joined(
                [nn.Sequential(_swish(128, 128), _swish(128, 128), nn.Conv2d(128, outputs, 1)) for outputs in (80, 5)]
            ),
        )
        for one in width[2:]
    ]
    return _PathYolo(width, (1, 3, 3), nn.Sequential(_Focus(), _swish(12, width[0])), heads)


# Depth.


class _Depth(nn.Module):
    def __init__(self, side: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 384, 14, 14)
        self.blocks = nn.ModuleList(Block(384, 6, 1536) for _ in range(12))
        widths, self.places = (48, 96, 192, 384), side // 14
        sizes = [nn.ConvTranspose2d(48, 48, 4, 4), nn.ConvTranspose2d(96, 96, 2, 2), nn.Identity()]
        self.scales = nn.ModuleList(
            nn.Sequential(nn.Conv2d(384, width, 1), size, nn.Conv2d(width, 64, 3, 1, 1, bias=False))
            for width, size in zip(widths, [*sizes, nn.Conv2d(384, 384, 3, 2, 1)], strict=True)
        )
        self.inner = nn.ModuleList(_Sum(_twice_convolved()) for _ in range(4))
        self.joined = nn.ModuleList(_Sum(_twice_convolved()) for _ in range(4))
        self.outs = nn.ModuleList(nn.Conv2d(64, 64, 1) for _ in range(4))
        last = [_Resize((side, side), "bilinear"), *_rectified(32, 32), nn.Conv2d(32, 1, 1), nn.ReLU()]
        self.last = nn.Sequential(_convolution(64, 32), *last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        seen = []
        for block in self.blocks:
            x = block(x)
            seen.append(x)
        taken = [one.transpose(1, 2).reshape(1, 384, self.places, self.places) for one in seen[2::3]]
        maps = [scale(one) for scale, one in zip(self.scales, taken, strict=True)]
        y = maps[-1]
        for level in (3, 2, 1, 0):
            y = y if level == 3 else y + self.inner[level](maps[level])
            size = maps[level - 1].shape[-2:] if level else tuple(2 * one for one in maps[0].shape[-2:])
            y = self.outs[level](functional.interpolate(self.joined[level](y), tuple(size), mode="bilinear"))
        depth: torch.Tensor = self.last(y)
        return depth


def _twice_convolved() -> nn.Module:
    return nn.Sequential(nn.ReLU(), _convolution(64, 64), nn.ReLU(), _convolution(64, 64))


def depth_anything(side: int = 518) -> nn.Module:
    """Source: Yang et al., "Depth Anything", 2024; Ranftl et al., "Vision Transformers for Dense Prediction", 2021."""
    return _Depth(side)

"""Networks that answer a picture with a picture: decoders, resizing, super-resolution, style, segmentation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["NETS"]


class Unet(nn.Module):
    """Three scales with skip connections; the way up is what differs."""

    def __init__(self, up: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.down = nn.ModuleList([_conv(3, 16), _conv(16, 24), _conv(24, 32)])
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList([up(32, 24), up(24, 16)])
        self.merge = nn.ModuleList([_conv(48, 24), _conv(32, 16)])
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×4×H×W of images N×3×H×W, whose sides are multiples of 4."""
        skips = [self.down[0](x)]
        for layer in self.down[1:]:
            skips.append(layer(self.pool(skips[-1])))
        x = skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), skips.pop()], 1))
        logits: Tensor = self.head(x)
        return logits


class UnetTranspose(Unet):
    """Up by transposed convolutions of side and stride 2."""

    def __init__(self) -> None:
        super().__init__(lambda channels, out: nn.ConvTranspose2d(channels, out, 2, 2))


class UnetBilinear(Unet):
    """Up by bilinear resizing with aligned corners, as the original code does, and a convolution."""

    def __init__(self) -> None:
        super().__init__(
            lambda channels, out: nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Conv2d(channels, out, 1)
            )
        )


class NearestDecoder(nn.Module):
    """Down by strides, up by nearest neighbours, as most autoencoders for phones."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(_conv(3, 16, 2), _conv(16, 32, 2), _conv(32, 32)),
            *(nn.Upsample(scale_factor=2, mode="nearest"), _conv(32, 16)),
            *(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(16, 3, 3, padding=1), nn.Sigmoid()),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A picture N×3×48×48 from one."""
        return _picture(self.layers, x)


class TransposeDecoder(nn.Module):
    """A generator: a vector of the picture, made large by transposed convolutions with overlap and output padding."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(_conv(3, 16, 2), _conv(16, 32, 2), nn.AdaptiveAvgPool2d(3))
        self.decode = nn.Sequential(
            *(nn.ConvTranspose2d(32, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.ConvTranspose2d(32, 16, 3, 2, 1, output_padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(16, 16, 4, 2, 1, groups=16), nn.Conv2d(16, 3, 1), nn.Tanh()),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A picture N×3×24×24 from one of N×3×48×48."""
        return _picture(self.decode, self.encode(x))


class PixelShuffle(nn.Module):
    """Super-resolution by sub-pixel convolution, added to the picture made larger bilinearly."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 24, 5, padding=2), nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(24, 12, 3, padding=1), nn.PixelShuffle(2)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A picture N×3×96×96 from one of N×3×48×48."""
        larger = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return larger + _picture(self.layers, x)


class PixelUnshuffle(nn.Module):
    """A denoiser that works on a quarter of the places with four times the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.PixelUnshuffle(2), _conv(12, 24), nn.Conv2d(24, 12, 3, padding=1))
        self.up = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """A picture N×3×48×48 from one."""
        noise: Tensor = self.up(_picture(self.layers, x))
        return x - noise


class StyleTransfer(nn.Module):
    """Reflected borders, instance norm and residuals, as fast style transfer has them."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(_reflected(3, 16, 5, 1), _reflected(16, 32, 3, 2))
        self.block = nn.Sequential(_reflected(32, 32, 3, 1), _reflected(32, 32, 3, 1)[:-1])
        self.decode = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"), _reflected(32, 16, 3, 1), nn.Conv2d(16, 3, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """A picture N×3×48×48 from one."""
        x = self.encode(x)
        return _picture(self.decode, x + self.block(x))


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling of DeepLab: dilated convolutions, the picture's mean, bilinear resizing."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 16, 2), _conv(16, 32, 2))
        self.branches = nn.ModuleList([_conv(32, 16, kernel=1), *(_conv(32, 16, dilation=rate) for rate in (2, 3, 5))])
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(32, 16, 1), nn.ReLU())
        self.merge = _conv(80, 24, kernel=1)
        self.head = nn.Conv2d(24, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×5×48×48 of images N×3×48×48."""
        size = x.shape[2:]
        x = self.stem(x)
        mean = nn.functional.interpolate(self.mean(x), x.shape[2:], mode="bilinear", align_corners=False)
        x = self.merge(torch.cat([*(branch(x) for branch in self.branches), mean], 1))
        return nn.functional.interpolate(self.head(x), size, mode="bilinear", align_corners=False)


def _conv(channels: int, out: int, stride: int = 1, *, kernel: int = 3, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(channels, out, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out), nn.ReLU())


def _reflected(channels: int, out: int, kernel: int, stride: int) -> nn.Sequential:
    layer = nn.Conv2d(channels, out, kernel, stride)
    return nn.Sequential(nn.ReflectionPad2d(kernel // 2), layer, nn.InstanceNorm2d(out, affine=True), nn.ReLU())


def _picture(layers: nn.Module, x: Tensor) -> Tensor:
    picture: Tensor = layers(x)
    return picture


NETS = (
    UnetTranspose,
    UnetBilinear,
    NearestDecoder,
    TransposeDecoder,
    PixelShuffle,
    PixelUnshuffle,
    StyleTransfer,
    Aspp,
)

"""Super-resolution with trained weights: IMDN x2 and the Set5 images it is judged on.

Structure: Hui et al. 2019, "Lightweight Image Super-Resolution with Information Multi-distillation Network", figures
2 to 4. The weights and images are in the data folder, which ``POCKETFIT_DATA`` names.
"""

import tarfile

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.real_data import data_file

SCALE = 2
_WIDTH = 64
_DISTILLED = 16
_BLOCKS = 6
_SLOPE = 0.05


def imdn_x2() -> nn.Module:
    """Builds IMDN for doubling height and width, with its published weights.

    Returns:
        The network in evaluation mode. Input: (N, 3, H, W) float, RGB in 0..1. Output: (N, 3, 2H, 2W).

    Raises:
        FileNotFoundError: The weights are missing; the message names ``POCKETFIT_DATA``.
    """
    state = torch.load(data_file("imdn-sr-set5/IMDN_x2.pth"), map_location="cpu", weights_only=True)
    net = Imdn()
    net.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
    return net.eval()


def set5_x2() -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Reads Set5.

    Returns:
        Name, small image and large image of each: uint8 H×W×3 RGB, the large one cut to twice the small one's size.
    """
    images: dict[str, np.ndarray] = {}
    with tarfile.open(data_file("imdn-sr-set5/set5.tar.xz")) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member) if member.name.endswith(".bmp") else None
            if file is not None:
                images[member.name] = np.asarray(Image.open(file).convert("RGB"))
    names = sorted(name[5:-4] for name in images if name.startswith("Set5/"))
    pairs = [(name, images[f"Set5_LR/x2/{name}x2.bmp"], images[f"Set5/{name}.bmp"]) for name in names]
    return [(name, small, large[: 2 * small.shape[0], : 2 * small.shape[1]]) for name, small, large in pairs]


def as_input(image: np.ndarray) -> np.ndarray:
    """Turns uint8 H×W×3 into the network's input, float32 1×3×H×W in 0..1."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None].astype(np.float32) / 255)


def psnr_y(output: np.ndarray, large: np.ndarray) -> float:
    """Compares on the luma channel as the paper does: rounded to 8 bits, a border of the scale cut off.

    Args:
        output: Of the network, float32 1×3×H×W.
        large: What it should be, uint8 H×W×3.

    Returns:
        Decibel.
    """
    pixels = np.rint(np.clip(output[0].transpose(1, 2, 0), 0, 1) * 255).astype(np.uint8)
    got, wanted = (_luma(image)[SCALE:-SCALE, SCALE:-SCALE] for image in (pixels, large))
    return float(10 * np.log10(255**2 / np.mean((got - wanted) ** 2)))


def _luma(image: np.ndarray) -> np.ndarray:
    """Y of BT.601 in 16..235, rounded, from uint8 RGB."""
    luma: np.ndarray = np.rint(16 + image.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255)
    return luma


class Imdn(nn.Module):
    """IMDN for a scale of two."""

    def __init__(self) -> None:
        """Builds the network with random weights."""
        super().__init__()
        self.fea_conv = _conv(3, _WIDTH, 3)
        for number in range(1, _BLOCKS + 1):
            self.add_module(f"IMDB{number}", _Block())
        self.c = nn.Sequential(_conv(_WIDTH * _BLOCKS, _WIDTH, 1), nn.LeakyReLU(_SLOPE))
        self.LR_conv = _conv(_WIDTH, _WIDTH, 3)
        self.upsampler = nn.Sequential(_conv(_WIDTH, 3 * SCALE**2, 3), nn.PixelShuffle(SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, 3, H, W) in 0..1 to (N, 3, 2H, 2W)."""
        first = values = self.fea_conv(x)
        outputs = []
        for number in range(1, _BLOCKS + 1):
            values = self.get_submodule(f"IMDB{number}")(values)
            outputs.append(values)
        gathered: Tensor = self.upsampler(self.LR_conv(self.c(torch.cat(outputs, 1))) + first)
        return gathered


class _Block(nn.Module):
    """Refines features in four steps, each of which sets a quarter of them aside."""

    def __init__(self) -> None:
        super().__init__()
        rest = _WIDTH - _DISTILLED
        self.c1 = _conv(_WIDTH, _WIDTH, 3)
        self.c2 = _conv(rest, _WIDTH, 3)
        self.c3 = _conv(rest, _WIDTH, 3)
        self.c4 = _conv(rest, _DISTILLED, 3)
        self.act = nn.LeakyReLU(_SLOPE)
        self.c5 = _conv(_DISTILLED * 4, _WIDTH, 1)
        self.cca = _Attention()

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        rest = x
        for layer in (self.c1, self.c2, self.c3):
            aside, rest = torch.split(self.act(layer(rest)), (_DISTILLED, _WIDTH - _DISTILLED), 1)
            kept.append(aside)
        gathered = torch.cat([*kept, self.c4(rest)], 1)
        refined: Tensor = self.c5(self.cca(gathered)) + x
        return refined


class _Attention(nn.Module):
    """Weighs channels by their mean and contrast."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_du = nn.Sequential(_conv(_WIDTH, 4, 1), nn.ReLU(), _conv(4, _WIDTH, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        contrast = (x - mean).pow(2).mean((2, 3), keepdim=True).sqrt()
        weighed: Tensor = x * self.conv_du(contrast + mean)
        return weighed


def _conv(in_channels: int, out_channels: int, size: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, size, padding=size // 2)

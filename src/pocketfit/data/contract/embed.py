"""The contract inside the model, so that an app hands over plain uint8 RGB."""

from __future__ import annotations

import torch

from pocketfit.contract.inputs import Pixels
from pocketfit.contract.spec import Color, Contract, Dtype, Layout
from pocketfit.data.contract.arithmetic import LUMA
from pocketfit.data.contract.matrices import Matrices, matrices
from pocketfit.errors import OptionError

__all__ = ["Arithmetic", "Embedded", "Geometry"]


class Arithmetic(torch.nn.Module):
    """Colour, `(pixel * scale - mean) / std` and layout.

    Its float32 operations are those of the contract's table, one by one, so the result has the same bits.

    Args:
        contract: everything but the geometry is used; its dtype has to be float32.

    Raises:
        OptionError: another dtype.
    """

    scale: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    luma: torch.Tensor

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        if contract.dtype is not Dtype.FLOAT32:
            raise OptionError(f"The contract's dtype is {contract.dtype}; only float32 can be embedded in a model.")
        self.color, self.layout = contract.color, contract.layout
        for name, values in (("scale", (contract.scale,)), ("mean", contract.mean), ("std", contract.std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))
        self.register_buffer("luma", torch.tensor(LUMA, dtype=torch.float32))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """From pixels 0..255, N×H×W×3 in RGB, to the model's input."""
        pixels = self._in_color(images.to(torch.float32))
        values = (pixels * self.scale - self.mean) / self.std
        return values.permute(0, 3, 1, 2).contiguous() if self.layout is Layout.NCHW else values

    def _in_color(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.color is Color.GRAY:
            # No sum here reaches 2^24, below which float32 holds every integer.
            return ((pixels * self.luma).sum(-1, keepdim=True).add(32768) / 65536).floor()
        return pixels.flip(-1) if self.color is Color.BGR else pixels


class Geometry(torch.nn.Module):
    """Resize, crop and letterbox of images of one size, as two products with matrices.

    The sums are float32 where the contract has integers, so a pixel may be one step of 255 away from it.

    Args:
        contract: its geometry is used.
        image: height and width of the images, which stand upright.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    margin: torch.Tensor

    def __init__(self, contract: Contract, image: tuple[int, int]) -> None:
        super().__init__()
        parts: Matrices = matrices(contract, image)
        self.round_between = parts.round_between
        for name in ("rows", "columns", "margin"):
            self.register_buffer(name, torch.from_numpy(getattr(parts, name)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """From uint8 N×H×W×3 to whole numbers 0..255 of the model's size, in float32."""
        planes = images.to(torch.float32).permute(0, 3, 1, 2)
        across = planes @ self.columns
        placed = self.rows @ (_to_pixels(across) if self.round_between else across)
        return _to_pixels(placed).permute(0, 2, 3, 1) + self.margin


class Embedded(torch.nn.Module):
    """A model that takes uint8 N×H×W×3 RGB.

    Args:
        model: takes what the contract prepares.
        contract: its input has to be RGB, and its orientation 1 or None; the app hands over upright images.
        image: height and width of the images that the app hands over; None for images of the model's size, so that
            resize and crop are the app's part.

    Raises:
        OptionError: the contract has another input, orientation or dtype.
        DataError: images of that size are smaller than the crop.
    """

    def __init__(self, model: torch.nn.Module, contract: Contract, image: tuple[int, int] | None = None) -> None:
        super().__init__()
        if contract.input != Pixels() or contract.orientation not in (None, 1):
            raise OptionError(
                f"The contract's input is {contract.input.format} with orientation {contract.orientation}; a model can "
                "embed what follows upright RGB pixels. Let the app convert and turn, and give the contract that input."
            )
        self.geometry = torch.nn.Identity() if image is None else Geometry(contract, image)
        self.arithmetic = Arithmetic(contract)
        self.model = model

    def train(self, mode: bool = True) -> Embedded:
        """Leave the model in its own mode: an exported graph has it built in, and refuses to be asked."""
        self.training = mode
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """What the model answers to the prepared images."""
        answer: torch.Tensor = self.model(self.arithmetic(self.geometry(images)))
        return answer


def _to_pixels(values: torch.Tensor) -> torch.Tensor:
    return (values + 0.5).floor().clamp(0, 255)

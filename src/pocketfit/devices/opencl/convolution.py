"""The work that every kernel does: one convolution, with its reference in double precision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocketfit.errors import OptionError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Case", "Convolution", "make_case", "tolerance"]

# Deviations of a random walk; a hundred thousand outputs reach four or five, an index gone wrong reaches hundreds.
DEVIATIONS = 8


@dataclass(frozen=True)
class Convolution:
    """A convolution over one image, with a square kernel and without bias.

    Args:
        channels: of the input, 1 or more.
        height: of the input in pixels.
        width: of the input in pixels.
        filters: channels of the output, 1 or more.
        kernel: side of the kernel, 1 or more.
        stride: in both directions, 1 or more.
        padding: zeros on every side, 0 to kernel - 1.

    Raises:
        OptionError: a number is out of its range, or the kernel is larger than the padded input.
    """

    channels: int = 64
    height: int = 56
    width: int = 56
    filters: int = 64
    kernel: int = 3
    stride: int = 1
    padding: int = 1

    def __post_init__(self) -> None:
        for name in ("channels", "height", "width", "filters", "kernel", "stride"):
            if getattr(self, name) < 1:
                raise OptionError(f"a convolution with {name} {getattr(self, name)} computes nothing. Give 1 or more.")
        if not 0 <= self.padding < self.kernel:
            raise OptionError(f"padding {self.padding} does not go with kernel {self.kernel}. Give 0 to kernel - 1.")
        if self.kernel > min(self.height, self.width) + 2 * self.padding:
            raise OptionError(
                f"kernel {self.kernel} is larger than the input of {self.height}x{self.width} with padding "
                f"{self.padding}. Give a larger --input or a smaller --kernel."
            )

    @property
    def output_height(self) -> int:
        """In pixels."""
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def output_width(self) -> int:
        """In pixels."""
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def products(self) -> int:
        """Products in one output value."""
        return self.channels * self.kernel**2

    @property
    def operations(self) -> int:
        """Multiplications and additions in all, those with the padding's zeros counted."""
        return 2 * self.products * self.filters * self.output_height * self.output_width

    def __str__(self) -> str:
        shape = f"{self.channels}x{self.height}x{self.width} to {self.filters} filters"
        return f"{self.kernel}x{self.kernel} convolution, {shape}, stride {self.stride}, padding {self.padding}"


@dataclass(frozen=True)
class Case:
    """Numbers for a convolution.

    Args:
        convolution: what is computed.
        x: float32 channels × height × width.
        weights: float32 filters × channels × kernel × kernel.
        reference: float64 filters × height × width of the output.
    """

    convolution: Convolution
    x: np.ndarray
    weights: np.ndarray
    reference: np.ndarray


def make_case(convolution: Convolution, *, half: bool = False, seed: int = 0) -> Case:
    """Draw numbers from -1 to 1 and compute the answer in double precision.

    Args:
        convolution: what is computed.
        half: take numbers that half precision can hold, so that its rounding of the inputs is not counted as an error.
        seed: of the drawing.
    """
    import numpy as np
    import torch

    draw = np.random.default_rng(seed)
    stored = np.float16 if half else np.float32
    shape = (convolution.channels, convolution.height, convolution.width)
    kernels = (convolution.filters, convolution.channels, convolution.kernel, convolution.kernel)
    x, weights = (draw.uniform(-1, 1, size).astype(stored).astype(np.float32) for size in (shape, kernels))
    answer = torch.nn.functional.conv2d(
        torch.from_numpy(x).double()[None],
        torch.from_numpy(weights).double(),
        stride=convolution.stride,
        padding=convolution.padding,
    )
    return Case(convolution, x, weights, answer[0].numpy())


def tolerance(case: Case, unit_roundoff: float) -> float:
    """The largest error that rounding explains.

    A sum of n random products is a walk whose every step is rounded by at most `unit_roundoff` of what has been summed,
    which does not exceed the answers' root mean square by much. The roundings are independent and add up like the
    square root of their number, whatever the order of the sum.

    Args:
        case: the numbers.
        unit_roundoff: half the distance from 1 to the next number: 2^-24 for float32, 2^-11 for float16.

    Source:
        N. J. Higham and T. Mary, "A New Approach to Probabilistic Rounding Error Analysis", SIAM J. Sci. Comput. 41(5),
        2019: errors of inner products grow with √n, not n.
    """
    size = float((case.reference**2).mean() ** 0.5)
    return DEVIATIONS * unit_roundoff * math.sqrt(case.convolution.products) * size

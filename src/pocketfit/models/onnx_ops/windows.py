"""Where the windows of convolutions and pools lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from pocketfit.models.onnx_ops.call import Call

__all__ = ["Window", "pad_spatial"]


@dataclass(frozen=True)
class Window:
    """Kernel, stride, dilation and padding of each spatial axis.

    Args:
        kernel: size of the window.
        stride: step between windows.
        dilation: step inside a window.
        before: padding at the beginning.
        after: padding at the end.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, call: Call, kernel: Sequence[int], sizes: Sequence[int]) -> Window:
        """Read it from a node.

        Args:
            call: of a convolution or a pool.
            kernel: size of the window.
            sizes: spatial sizes of the input; needed to tell how "same" pads.
        """
        rank = len(kernel)
        stride = tuple(call.get("strides", [1] * rank))
        dilation = tuple(call.get("dilations", [1] * rank))
        before, after = _padding(call, tuple(kernel), stride, dilation, sizes)
        return cls(tuple(kernel), stride, dilation, before, after)

    @property
    def is_symmetric(self) -> bool:
        """Whether each axis is padded alike at both ends."""
        return self.before == self.after

    @property
    def span(self) -> tuple[int, ...]:
        """From the first to the last element of a window."""
        return tuple((kernel - 1) * step + 1 for kernel, step in zip(self.kernel, self.dilation, strict=True))


def pad_spatial(x: Tensor, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> Tensor:
    """Pad the spatial axes; torch wants the last axis first."""
    ends = list(zip(before, after, strict=True))
    return F.pad(x, [size for pair in reversed(ends) for size in pair], value=value)


Pads = tuple[tuple[int, ...], tuple[int, ...]]


def _padding(
    call: Call, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], sizes: Sequence[int]
) -> Pads:
    auto, rank = call.get("auto_pad", "NOTSET"), len(kernel)
    if auto == "NOTSET":
        pads = call.get("pads", [0] * (2 * rank))
        return tuple(pads[:rank]), tuple(pads[rank:])
    if auto == "VALID":
        return (0,) * rank, (0,) * rank
    totals = [
        max((-(-size // step) - 1) * step + (width - 1) * gap + 1 - size, 0)
        for size, width, step, gap in zip(sizes, kernel, stride, dilation, strict=True)
    ]
    less, more = tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals)
    return (less, more) if auto == "SAME_UPPER" else (more, less)

"""Which pixels of the input a value inside a network depends on, along one side of the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, lcm

__all__ = ["Reach"]


@dataclass(frozen=True)
class Reach:
    """Value number `i` of a tensor depends on no other pixels than `i * step - before .. i * step + after`.

    Args:
        step: pixels of the input from one value to the next: 2 behind a stride of two, 1/2 behind an upsampling by two.
        before: pixels towards the beginning.
        after: pixels towards the end.
        stride: the network does the same to an image moved by a multiple of this many pixels.
    """

    step: Fraction = Fraction(1)
    before: Fraction = Fraction(0)
    after: Fraction = Fraction(0)
    stride: int = 1

    @property
    def pixels(self) -> int:
        """Pixels that one value depends on, at most."""
        return ceil(self.before + self.after) + 1

    @property
    def margin(self) -> int:
        """Pixels at the inner edge of a tile, whose results may differ from those of the whole image."""
        needed = max(self.before, self.after + 1 - Fraction(1, self.step.denominator), Fraction(0))
        return ceil(needed / self.step.numerator) * self.step.numerator

    def window(self, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> Reach:
        """Behind a convolution or pooling."""
        return self._stretched(Fraction(stride), Fraction(padding), Fraction(dilation * (kernel - 1) - padding))

    def transposed(self, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> Reach:
        """Behind a transposed convolution, where `i` feeds the values `i * stride - padding + dilation * t`."""
        furthest = Fraction(dilation * (kernel - 1) - padding, stride)
        return self._stretched(Fraction(1, stride), furthest, Fraction(padding, stride))

    def shifted(self, by: int, *, step: int = 1) -> Reach:
        """Behind a slice that starts at `by`; a padding at the beginning starts before the first value."""
        return self._stretched(Fraction(step), Fraction(-by), Fraction(by))

    def nearest(self, ratio: Fraction) -> Reach:
        """Behind a nearest-neighbour resize or a pixel shuffle; `ratio` is input over output size."""
        return self._stretched(ratio, 1 - Fraction(1, ratio.denominator), Fraction(0))

    def resized(self, ratio: Fraction, support: int, *, antialias: bool = False) -> Reach:
        """Behind a resize with aligned pixel areas: `support` is 1 for a bilinear, 2 for a bicubic kernel."""
        centre = (ratio - 1) / 2
        width = support * max(ratio, Fraction(1)) if antialias else Fraction(support)
        # Centres lie at multiples of this fraction, so that the first pixel is never quite the whole width away.
        finest = Fraction(1, 2 * ratio.denominator)
        return self._stretched(ratio, width - centre - finest, width + centre)

    def joined(self, other: Reach) -> Reach | None:
        """Of a sum or concatenation of two tensors; None where they lie in different resolutions."""
        if self.step != other.step:
            return None
        before, after = max(self.before, other.before), max(self.after, other.after)
        return Reach(self.step, before, after, lcm(self.stride, other.stride))

    def _stretched(self, ratio: Fraction, before: Fraction, after: Fraction) -> Reach:
        step = self.step * ratio
        return replace(
            self,
            step=step,
            before=self.before + before * self.step,
            after=self.after + after * self.step,
            stride=lcm(self.stride, step.numerator),
        )

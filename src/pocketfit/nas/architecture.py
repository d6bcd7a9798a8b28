"""What a search may choose among: MobileNets of inverted residuals, elastic in depth, width and kernel.

    Space ─choose→ Architecture

Source: Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment", 2020, section 3.1: the
depth of each stage, the expansion and kernel of each block are chosen; stem and channels between blocks are the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pocketfit.errors import OptionError

__all__ = ["Architecture", "Block", "Space", "space_for"]

# A choice by its name among numbers.
Choose = Callable[[str, Sequence[int]], int]

# Sides below this are not halved again, those from this on are halved by the stem.
SMALLEST_SIDE, LARGE_SIDE = 7, 64
GROWTH = 1.5


@dataclass(frozen=True)
class Block:
    """An inverted residual.

    Args:
        kernel: side of its depthwise convolution, odd.
        expansion: how many times the channels it reads are widened.
    """

    kernel: int
    expansion: int

    def __str__(self) -> str:
        return f"k{self.kernel}e{self.expansion}"


@dataclass(frozen=True)
class Architecture:
    """One network of a space.

    Args:
        stages: the blocks of each stage, at least one.
    """

    stages: tuple[tuple[Block, ...], ...]

    def __str__(self) -> str:
        return " | ".join(" ".join(map(str, blocks)) for blocks in self.stages)


@dataclass(frozen=True)
class Space:
    """All networks that share their weights.

    Args:
        input_shape: channels, height, width.
        classes: of the answer.
        widths: channels of the stem, then of each stage.
        strides: of the stem, then of the first block of each stage.
        depths: how many blocks a stage may have, ascending.
        kernels: sides that a depthwise convolution may have, odd, ascending.
        expansions: how much a block may widen, ascending.
    """

    input_shape: tuple[int, int, int]
    classes: int
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    depths: tuple[int, ...] = (1, 2, 3)
    kernels: tuple[int, ...] = (3, 5)
    expansions: tuple[int, ...] = (2, 4, 6)

    def chosen(self, choose: Choose) -> Architecture:
        """The network that somebody chooses number by number; numbers of blocks that are left out are chosen, too."""
        return Architecture(tuple(self._stage(number, choose) for number in range(len(self.widths) - 1)))

    def largest(self) -> Architecture:
        """The network that all others are parts of."""
        return self.chosen(lambda _, allowed: allowed[-1])

    def smallest(self) -> Architecture:
        """The network that is a part of all others."""
        return self.chosen(lambda _, allowed: allowed[0])

    def random(self, generator: random.Random) -> Architecture:
        """Any network, each number on its own."""
        return self.chosen(lambda _, allowed: generator.choice(allowed))

    def __len__(self) -> int:
        """How many different networks there are."""
        blocks = len(self.kernels) * len(self.expansions)
        stage = sum(blocks**depth for depth in self.depths)
        return int(stage ** (len(self.widths) - 1))

    def _stage(self, number: int, choose: Choose) -> tuple[Block, ...]:
        depth = choose(f"depth {number}", self.depths)
        # Every number is asked for, so that a sampler meets the same names each time.
        blocks = [
            Block(
                choose(f"kernel {number}.{position}", self.kernels),
                choose(f"expansion {number}.{position}", self.expansions),
            )
            for position in range(self.depths[-1])
        ]
        return tuple(blocks[:depth])


def space_for(input_shape: tuple[int, ...], classes: int, width: int = 16) -> Space:
    """A space whose stages halve an image until little is left of it.

    Args:
        input_shape: channels, height, width.
        classes: at least 2.
        width: channels of the stem and the first stage; those of each further stage are half as many again.

    Raises:
        OptionError: the input is no image, or a number is too small.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < SMALLEST_SIDE + 1:
        raise OptionError(
            f"{'x'.join(map(str, input_shape))} is no image of at least {SMALLEST_SIDE + 1} pixels each way. "
            "Give channels x height x width, such as 3x32x32."
        )
    if classes < 2 or width < 8:
        raise OptionError(f"{classes} classes and a width of {width}: give at least 2 classes and a width of 8.")
    side = min(input_shape[1:])
    strides = [2 if side >= LARGE_SIDE else 1, 1]
    side //= strides[0]
    while side > SMALLEST_SIDE:
        strides.append(2)
        side //= 2
    widths = [width, *(round(width * GROWTH**number / 8) * 8 for number in range(len(strides) - 1))]
    channels, height, breadth = input_shape
    return Space((channels, height, breadth), classes, tuple(widths), tuple(strides))

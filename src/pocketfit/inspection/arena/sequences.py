"""In which sequence blocks can be placed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pocketfit.inspection.arena.liveness import Block, live_bytes

__all__ = ["MORE_SEQUENCES", "by_breadth", "by_size"]


def by_size(blocks: Sequence[Block]) -> list[int]:
    """Largest first."""
    return sorted(range(len(blocks)), key=lambda one: -blocks[one].size)


def by_breadth(blocks: Sequence[Block]) -> list[int]:
    """Those of the step with most bytes in use first, the largest of them first."""
    steps = 1 + max((block.death for block in blocks), default=-1)
    alive: list[list[int]] = [[] for _ in range(steps)]
    for number in by_size(blocks):
        for step in range(blocks[number].birth, blocks[number].death + 1):
            alive[step].append(number)
    live = live_bytes(blocks, steps)
    fullest_first = sorted(range(steps), key=lambda step: -live[step])
    return list(dict.fromkeys(number for step in fullest_first for number in alive[step]))


def _by_life(blocks: Sequence[Block]) -> list[int]:
    return sorted(range(len(blocks)), key=lambda one: (-_life(blocks[one]), -blocks[one].size))


def _by_area(blocks: Sequence[Block]) -> list[int]:
    return sorted(range(len(blocks)), key=lambda one: -blocks[one].size * _life(blocks[one]))


def _by_birth(blocks: Sequence[Block]) -> list[int]:
    return sorted(range(len(blocks)), key=lambda one: (blocks[one].birth, -blocks[one].size))


def _life(block: Block) -> int:
    return block.death - block.birth + 1


# By how a layout says that it was found.
MORE_SEQUENCES: tuple[tuple[str, Callable[[Sequence[Block]], list[int]]], ...] = (
    ("greedy by breadth", by_breadth),
    ("longest life first", _by_life),
    ("largest area first", _by_area),
    ("oldest first", _by_birth),
)

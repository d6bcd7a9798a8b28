"""Where each block lies in one arena, so that no two that are in use at the same time overlap.

Source: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference" (2020), for greedy by size and by
breadth; TensorFlow Lite plans with the former.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from pocketfit.inspection.arena.bound import given_order_bound
from pocketfit.inspection.arena.liveness import Block
from pocketfit.inspection.arena.placing import Layout, Placing
from pocketfit.inspection.arena.sequences import MORE_SEQUENCES, by_breadth, by_size

__all__ = ["best_layout", "greedy_by_breadth", "greedy_by_size", "overlaps"]

# How often the climbing may place a block, about 0.05 s.
PLACEMENTS = 10_000


def greedy_by_size(blocks: Sequence[Block]) -> Layout:
    """Largest block first, each into the smallest gap that holds it."""
    return Placing(blocks).layout(by_size(blocks), "greedy by size")


def greedy_by_breadth(blocks: Sequence[Block]) -> Layout:
    """The blocks of the step with most bytes in use first, the largest of them first."""
    return Placing(blocks).layout(by_breadth(blocks), "greedy by breadth")


def best_layout(blocks: Sequence[Block], steps: int) -> Layout:
    """The smallest arena that several ways find; never larger than that of `greedy_by_size`.

    The search ends as soon as the arena is as small as the bytes in use at the busiest step. It is deterministic.

    Args:
        blocks: to be placed.
        steps: number of ops.
    """
    bound = given_order_bound(blocks, steps)
    placing = Placing(blocks)
    best = placing.layout(by_size(blocks), "greedy by size")
    for method, sequence in MORE_SEQUENCES:
        if best.size == bound:
            return best
        best = min(best, placing.layout(sequence(blocks), method), key=_size)
    return best if best.size == bound else _climb(placing, best, bound)


def overlaps(blocks: Sequence[Block], offsets: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of blocks that are in use at the same time and share a byte: none where a layout is sound."""
    found: list[tuple[int, int]] = []
    alive: list[int] = []
    for number in sorted(range(len(blocks)), key=lambda one: blocks[one].birth):
        alive = [one for one in alive if blocks[one].death >= blocks[number].birth]
        found += [(one, number) for one in alive if _share(blocks, offsets, one, number)]
        alive.append(number)
    return found


def _share(blocks: Sequence[Block], offsets: Sequence[int], one: int, other: int) -> bool:
    return offsets[one] < offsets[other] + blocks[other].size and offsets[other] < offsets[one] + blocks[one].size


def _climb(placing: Placing, best: Layout, bound: int) -> Layout:
    """Again and again place a block at the top of the arena, or one in its way, earlier; keep what is no larger."""
    generator = random.Random(0)
    sequence = sorted(range(len(placing.blocks)), key=lambda one: best.offsets[one])
    current = placing.layout(sequence, "hill climbing")
    for _ in range(PLACEMENTS // len(placing.blocks)):
        if current.size == bound:
            break
        tried = _moved(sequence, _in_question(placing, current, generator), generator)
        layout = placing.layout(tried, "hill climbing")
        if layout.size <= current.size:
            current, sequence = layout, tried
    return min(best, current, key=_size)


def _in_question(placing: Placing, layout: Layout, generator: random.Random) -> int:
    """A block that ends where the arena ends, or one that is in use at the same time."""
    tops = [one for one, block in enumerate(placing.blocks) if layout.offsets[one] + block.size == layout.size]
    top = generator.choice(tops)
    return generator.choice([top, top, *placing.neighbours[top]])


def _moved(sequence: Sequence[int], number: int, generator: random.Random) -> list[int]:
    """The sequence with one block moved to a random place before its own."""
    place = generator.randrange(sequence.index(number) + 1)
    rest = [one for one in sequence if one != number]
    return [*rest[:place], number, *rest[place:]]


def _size(layout: Layout) -> int:
    return layout.size

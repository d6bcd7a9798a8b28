"""Placing blocks one after another, each into the smallest gap that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pocketfit.inspection.arena.liveness import Block

__all__ = ["Layout", "Placing"]


@dataclass(frozen=True)
class Layout:
    """Where the blocks lie.

    Args:
        offsets: in bytes from the start of the arena, by block.
        size: of the arena in bytes.
        method: how it was found.
    """

    offsets: tuple[int, ...]
    size: int
    method: str


class Placing:
    """Places the same blocks in one sequence after another.

    Args:
        blocks: to be placed.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self.neighbours = _neighbours(blocks)

    def layout(self, sequence: Sequence[int], method: str) -> Layout:
        """Place the blocks in that sequence; one that fits into no gap lies above all that it must not overlap."""
        offsets = [-1] * len(self.blocks)
        for number in sequence:
            offsets[number] = self._offset(number, offsets)
        tops = (offset + block.size for offset, block in zip(offsets, self.blocks, strict=True))
        return Layout(tuple(offsets), max(tops, default=0), method)

    def _offset(self, number: int, offsets: Sequence[int]) -> int:
        size = self.blocks[number].size
        placed = [(offsets[one], self.blocks[one].size) for one in self.neighbours[number] if offsets[one] >= 0]
        best, best_gap, free_from = -1, 0, 0
        for offset, taken in sorted(placed):
            gap = offset - free_from
            if gap >= size and (best < 0 or gap < best_gap):
                best, best_gap = free_from, gap
            free_from = max(free_from, offset + taken)
        return best if best >= 0 else free_from


def _neighbours(blocks: Sequence[Block]) -> list[list[int]]:
    """For each block those that are in use at the same time."""
    found: list[list[int]] = [[] for _ in blocks]
    alive: list[int] = []
    for number in sorted(range(len(blocks)), key=lambda one: blocks[one].birth):
        alive = [one for one in alive if blocks[one].meets(blocks[number])]
        for one in alive:
            found[one].append(number)
            found[number].append(one)
        alive.append(number)
    return found

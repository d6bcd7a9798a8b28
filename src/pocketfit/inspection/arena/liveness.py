"""When each piece of memory is in use, for a given order of ops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from pocketfit.inspection.arena.program import Program

__all__ = ["Block", "blocks_of", "live_bytes"]


@dataclass(frozen=True)
class Block:
    """Memory in use without a break.

    Args:
        buffers: that lie in it, each written over the one before it.
        size: in bytes.
        birth: the step that writes the first of its buffers.
        death: the last step that reads the last of them.
    """

    buffers: tuple[int, ...]
    size: int
    birth: int
    death: int

    def meets(self, other: Block) -> bool:
        """Whether both are in use at some step."""
        return self.birth <= other.death and other.birth <= self.death


def blocks_of(program: Program, order: Sequence[int]) -> tuple[Block, ...]:
    """The blocks that the buffers of a program lie in.

    A buffer lives from the step that writes it to the last one that reads it, both included. An op that may write over
    an input does so where it is the last to read it.

    Args:
        program: whose buffers they are.
        order: the numbers of its ops, each after all that it needs.
    """
    deaths = _deaths(program, order)
    blocks: dict[int, Block] = {}
    for step, number in enumerate(order):
        op = program.ops[number]
        for buffer in op.writes:
            new = Block((buffer,), program.buffers[buffer].size, step, deaths[buffer])
            dying = next((one for one in op.over if deaths[one] == step), None)
            blocks[buffer] = new if dying is None else _joined(blocks.pop(dying), new)
    return tuple(blocks.values())


def live_bytes(blocks: Sequence[Block], steps: int) -> list[int]:
    """How many bytes are in use at each step."""
    changes = [0] * (steps + 1)
    for block in blocks:
        changes[block.birth] += block.size
        changes[block.death + 1] -= block.size
    return list(accumulate(changes[:steps]))


def _deaths(program: Program, order: Sequence[int]) -> list[int]:
    deaths = [0] * len(program.buffers)
    for step, number in enumerate(order):
        for buffer in (*program.ops[number].reads, *program.ops[number].writes):
            deaths[buffer] = step
    return deaths


def _joined(first: Block, second: Block) -> Block:
    return replace(first, buffers=first.buffers + second.buffers, death=second.death)

"""A graph as a memory planner sees it: ops that write buffers, read buffers and wait for each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

__all__ = ["ALIGNMENT", "Buffer", "Op", "Program", "aligned", "bits"]

# Every tensor begins at a multiple of this many bytes, as in the mobile runtimes: one cache line, one wide vector.
ALIGNMENT = 64


def aligned(size_bytes: int) -> int:
    """That many bytes, rounded up to whole units of `ALIGNMENT`."""
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def bits(mask: int) -> list[int]:
    """The numbers of the bits that are set, smallest first."""
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found


@dataclass(frozen=True)
class Buffer:
    """Memory that one op writes and others read.

    Args:
        name: of the tensor.
        source: dotted module path in the user's model, where it is known.
        size: in bytes, a multiple of `ALIGNMENT`.
    """

    name: str
    source: str
    size: int


@dataclass(frozen=True)
class Op:
    """One op; those that only look at a tensor in another shape are none.

    Args:
        name: node name in the graph.
        needs: numbers of the ops that have to run before it.
        reads: numbers of the buffers it reads.
        writes: numbers of the buffers it writes.
        over: those of `reads` in whose place its only output may be written, if nothing reads them after it.
    """

    name: str
    needs: tuple[int, ...] = ()
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    over: tuple[int, ...] = ()


@dataclass(frozen=True)
class Program:
    """Ops in an order that works, and their buffers.

    Args:
        ops: each after all that it needs; the last one reads what the model returns and needs all others.
        buffers: each written by one op.
    """

    ops: tuple[Op, ...]
    buffers: tuple[Buffer, ...]

    def without_sharing(self) -> Program:
        """The same where no op writes over its input."""
        return replace(self, ops=tuple(replace(op, over=()) for op in self.ops))

    @cached_property
    def writer(self) -> tuple[int, ...]:
        """The op that writes each buffer."""
        found = {buffer: number for number, op in enumerate(self.ops) for buffer in op.writes}
        return tuple(found[number] for number in range(len(self.buffers)))

    @cached_property
    def readers(self) -> tuple[int, ...]:
        """The ops that read each buffer, one bit an op."""
        found = [0] * len(self.buffers)
        for number, op in enumerate(self.ops):
            for buffer in op.reads:
                found[buffer] |= 1 << number
        return tuple(found)

    @cached_property
    def before(self) -> tuple[int, ...]:
        """The ops that run before each op in every order, one bit an op."""
        found: list[int] = []
        for op in self.ops:
            mask = 0
            for need in op.needs:
                mask |= found[need] | 1 << need
            found.append(mask)
        return tuple(found)

    @cached_property
    def after(self) -> tuple[int, ...]:
        """The ops that run after each op in every order, one bit an op."""
        found = [0] * len(self.ops)
        for number in reversed(range(len(self.ops))):
            for need in self.ops[number].needs:
                found[need] |= found[number] | 1 << number
        return tuple(found)

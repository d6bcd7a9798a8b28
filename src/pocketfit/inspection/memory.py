"""Peak memory of a sequence of steps that write and read buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Step", "peak"]


@dataclass(frozen=True)
class Step:
    """One op, as memory sees it.

    Args:
        name: of the op.
        reads: numbers of the buffers it needs.
        writes: bytes by number of the buffers it creates; a view creates none.
    """

    name: str
    reads: tuple[int, ...] = ()
    writes: Mapping[int, int] = field(default_factory=dict)


def peak(steps: Sequence[Step]) -> tuple[int, str]:
    """The largest number of bytes alive at once, and the first step at which they are.

    A buffer lives from the step that writes it to the last one that reads it, both included.
    """
    sizes = {buffer: count for step in steps for buffer, count in step.writes.items()}
    last_use = {buffer: index for index, step in enumerate(steps) for buffer in (*step.reads, *step.writes)}
    alive, highest, where = 0, 0, ""
    for index, step in enumerate(steps):
        alive += sum(step.writes.values())
        if alive > highest:
            highest, where = alive, step.name
        alive -= sum(sizes[buffer] for buffer in {*step.reads, *step.writes} if last_use[buffer] == index)
    return highest, where

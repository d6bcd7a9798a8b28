"""What no memory plan can be below."""

from __future__ import annotations

from collections.abc import Sequence

from pocketfit.inspection.arena.liveness import Block, live_bytes
from pocketfit.inspection.arena.program import Program, bits

__all__ = ["any_order_bound", "forced_bytes", "given_order_bound", "saved_bytes"]


def given_order_bound(blocks: Sequence[Block], steps: int) -> int:
    """The largest number of bytes in use at once: no layout of these blocks takes less.

    Args:
        blocks: for one order of ops.
        steps: number of ops.
    """
    return max(live_bytes(blocks, steps), default=0)


def any_order_bound(program: Program) -> int:
    """The largest of `forced_bytes`: no order of the ops and no layout takes less."""
    return max(forced_bytes(program), default=0)


def forced_bytes(program: Program) -> list[int]:
    """The bytes that are in use while an op runs, whatever the order.

    These are its inputs, its outputs, and every buffer whose writer comes before it and one of whose readers comes
    after it in all orders, such as the skip connection of a U-Net. Where the op may write over an input that no op
    behind it reads, its output is not counted: some order may save it.
    """
    found = [0] * len(program.ops)
    for number, buffer in enumerate(program.buffers):
        for op in bits(_always_alive(program, number)):
            found[op] += buffer.size
    return [total - saved_bytes(program, op) for op, total in enumerate(found)]


def _always_alive(program: Program, buffer: int) -> int:
    """The ops during which a buffer is in use in every order, one bit an op."""
    writer, readers = program.writer[buffer], program.readers[buffer]
    until = readers
    for reader in bits(readers):
        until |= program.before[reader]
    return 1 << writer | (program.after[writer] & until)


def saved_bytes(program: Program, op: int) -> int:
    """The bytes an op saves by writing in place, where some order lets it."""
    behind = program.after[op]
    free = any(not program.readers[buffer] & behind for buffer in program.ops[op].over)
    return program.buffers[program.ops[op].writes[0]].size if free else 0

"""The fewest bytes that can be in use while an op runs, by minimum cut.

While an op runs, a set of others has run: all that come before it in every order, none that come after it, and of the
rest any that holds all that its ops need. A buffer is in use where its writer is in the set and one of its readers is
not. Which set leaves least in use is a minimum cut, and by the theorem of Ford and Fulkerson a flow of that size proves
that no set, and so no order, leaves less. This counts what branches hold that run beside the op: none of their buffers
is in use in every order, but always one of them is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from pocketfit.inspection.arena.bound import saved_bytes
from pocketfit.inspection.arena.program import Program, bits

__all__ = ["cut_bytes"]

_SOURCE, _SINK = -1, -2

# Edges by their two ends; what still fits through them.
_Capacities = dict[int, dict[int, int]]


def cut_bytes(program: Program, op: int) -> int:
    """The bytes that are in use while an op runs, in whatever order: its outputs, and the least that waits beside them.

    Args:
        program: whose op it is.
        op: its number.
    """
    written = sum(program.buffers[buffer].size for buffer in program.ops[op].writes)
    return _maximum_flow(_network(program, op)) + written - saved_bytes(program, op)


def _network(program: Program, op: int) -> _Capacities:
    """Ops that have run on the side of the source; buffers are numbered behind the ops."""
    unlimited = 1 + sum(buffer.size for buffer in program.buffers)
    capacities: _Capacities = {_SOURCE: {}, _SINK: {}}
    for start, end, capacity in _edges(program, op, unlimited):
        if start not in (end, _SINK) and end != _SOURCE:
            onward = capacities.setdefault(start, {})
            onward[end] = min(unlimited, onward.get(end, 0) + capacity)
            capacities.setdefault(end, {}).setdefault(start, 0)
    return capacities


def _edges(program: Program, op: int, unlimited: int) -> Iterator[tuple[int, int, int]]:
    before, after = program.before[op], program.after[op] | 1 << op

    def place(number: int) -> int:
        return _SOURCE if before >> number & 1 else _SINK if after >> number & 1 else number

    for number, buffer in enumerate(program.buffers):
        readers = program.readers[number]
        # One that all its readers have read is not in use; one that is written later neither.
        if readers & ~before and not after >> program.writer[number] & 1:
            middle = len(program.ops) + number
            yield place(program.writer[number]), middle, buffer.size
            yield from ((middle, place(reader), unlimited) for reader in bits(readers))
    for number in bits(~(before | after) & ((1 << len(program.ops)) - 1)):
        yield from ((number, place(need), unlimited) for need in program.ops[number].needs)


def _maximum_flow(capacities: _Capacities) -> int:
    """By shortest augmenting paths (Edmonds and Karp)."""
    total = 0
    while path := _path(capacities):
        room = min(capacities[start][end] for start, end in path)
        for start, end in path:
            capacities[start][end] -= room
            capacities[end][start] += room
        total += room
    return total


def _path(capacities: _Capacities) -> list[tuple[int, int]]:
    """The edges of a shortest path with room left from source to sink, last first; none where there is none."""
    reached_from = {_SOURCE: _SOURCE}
    waiting = deque([_SOURCE])
    while waiting and _SINK not in reached_from:
        start = waiting.popleft()
        for end, room in capacities[start].items():
            if room and end not in reached_from:
                reached_from[end] = start
                waiting.append(end)
    path, end = [], _SINK
    while end in reached_from and end != _SOURCE:
        path.append((reached_from[end], end))
        end = reached_from[end]
    return path

"""The best order of one segment, by best-first search over the sets of ops that have run.

How many bytes are in use after a set of ops does not depend on their order, so that a set is looked at once. Sets are
taken in the order of the peak that led to them; the first that is complete has the lowest peak of all. Two things keep
the sets few. An op that can run without exceeding the peak so far and leaves no more in use than before runs at once:
moving such an op to the front of any order makes no other step worse, because what comes after it finds the same
tensors or fewer, and more of them ready to be freed. And sets that cannot beat the order known already are dropped.

A segment that is too wide for this is searched on by beam; what the search has ruled out until then stays the bound.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from pocketfit.inspection.arena.program import Program, bits

__all__ = ["Found", "Search"]

# Sets that a beam keeps.
BEAM = 16


class Found(NamedTuple):
    """The outcome for a segment.

    Args:
        order: its ops.
        peak: the largest number of bytes in use while they run.
        bound: what that cannot be below, if it is above the floor of the search.
    """

    order: tuple[int, ...]
    peak: int
    bound: int


class _State(NamedTuple):
    """A set of ops that have run, one bit an op, and how it was reached."""

    done: int
    ready: int
    live: int
    peak: int
    order: tuple[int, ...] = ()

    def urgency(self) -> tuple[int, int, int]:
        """Lowest peak first, then the one that is furthest on, then the one with least in use."""
        return self.peak, -len(self.order), self.live


class _Cost(NamedTuple):
    """What running an op does to memory; readers are sets of ops, one bit an op.

    Args:
        written: bytes of its outputs.
        unread: bytes of the outputs that nothing reads.
        inputs: bytes and readers of each buffer it reads.
        over: the readers of each buffer that it may write over.
    """

    written: int
    unread: int
    inputs: tuple[tuple[int, int], ...]
    over: tuple[int, ...]


class Search:
    """Searches segments of a program.

    Args:
        program: whose segments they are.
        sets: how many sets of ops may be looked at in all segments together before beams take over.
    """

    def __init__(self, program: Program, sets: int) -> None:
        self._left = sets
        self._program = program
        self._costs = [_cost(program, number) for number in range(len(program.ops))]
        self._needs = [sum(1 << need for need in op.needs) for op in program.ops]
        self._next: list[list[int]] = [[] for _ in program.ops]
        for number, op in enumerate(program.ops):
            for need in op.needs:
                self._next[need].append(number)

    def run(self, segment: range, *, below: int, floor: int) -> Found:
        """The best order of a segment, or the given one where none is better.

        Args:
            segment: numbers of its ops.
            below: the peak of the given order, in bytes.
            floor: a peak in bytes that it is no use to fall below.
        """
        given = Found(tuple(segment), below, below)
        start = self._start(segment, floor)
        if len(start.order) == len(segment):
            return Found(start.order, floor, floor)
        best, ruled_out = self._best_first(segment, start, given)
        if ruled_out == best.peak:
            return best
        return self._beam(segment, start, best)._replace(bound=ruled_out)

    def _best_first(self, segment: range, start: _State, best: Found) -> tuple[Found, int]:
        """The best order that is found, and a peak below which there is none."""
        heap, seen = [(start.urgency(), start)], {start.done: start.peak}
        while heap and heap[0][1].peak < best.peak:
            if self._left <= 0:
                return best, heap[0][1].peak
            for child in self._children(segment, heapq.heappop(heap)[1], best.peak):
                self._left -= 1
                if child.peak >= seen.get(child.done, best.peak):
                    continue
                seen[child.done] = child.peak
                if len(child.order) == len(segment):
                    best = Found(child.order, child.peak, child.peak)
                else:
                    heapq.heappush(heap, (child.urgency(), child))
        return best, best.peak

    def _beam(self, segment: range, start: _State, best: Found) -> Found:
        states = [start]
        while states:
            children: dict[int, _State] = {}
            for state in states:
                for child in self._children(segment, state, best.peak):
                    if len(child.order) == len(segment):
                        best = Found(child.order, child.peak, best.bound)
                    elif child.done not in children or child.peak < children[child.done].peak:
                        children[child.done] = child
            states = heapq.nsmallest(BEAM, children.values(), key=lambda one: (one.peak, one.live))
        return best

    def _start(self, segment: range, floor: int) -> _State:
        done = (1 << segment.start) - 1
        ready = sum(1 << number for number in segment if not self._needs[number] & ~done)
        program = self._program
        pairs = zip(program.buffers, program.writer, program.readers, strict=True)
        live = sum(buffer.size for buffer, writer, readers in pairs if done >> writer & 1 and readers & ~done)
        return self._settle(segment, _State(done, ready, live, floor))

    def _children(self, segment: range, state: _State, below: int) -> Iterator[_State]:
        for number in bits(state.ready):
            peak, live = self._cost_of(number, state)
            if peak < below:
                yield self._settle(segment, self._after(segment, number, state, max(peak, state.peak), live))

    def _settle(self, segment: range, state: _State) -> _State:
        """Run what costs nothing."""
        waiting = state.ready
        while waiting:
            number = waiting.bit_length() - 1
            waiting ^= 1 << number
            peak, live = self._cost_of(number, state)
            if peak <= state.peak and live <= state.live:
                state = self._after(segment, number, state, state.peak, live)
                waiting = state.ready
        return state

    def _cost_of(self, number: int, state: _State) -> tuple[int, int]:
        """The bytes in use while an op runs, and afterwards."""
        written, unread, inputs, over = self._costs[number]
        waiting = ~(state.done | 1 << number)
        peak = after = state.live + written
        for size, readers in inputs:
            if not readers & waiting:
                after -= size
        for readers in over:
            if not readers & waiting:
                peak -= written
                break
        return peak, after - unread

    def _after(self, segment: range, number: int, state: _State, peak: int, live: int) -> _State:
        done = state.done | 1 << number
        ready = state.ready ^ 1 << number
        for one in self._next[number]:
            if one < segment.stop and not self._needs[one] & ~done:
                ready |= 1 << one
        return _State(done, ready, live, peak, (*state.order, number))


def _cost(program: Program, number: int) -> _Cost:
    op = program.ops[number]
    sizes = {buffer: program.buffers[buffer].size for buffer in (*op.reads, *op.writes)}
    return _Cost(
        written=sum(sizes[buffer] for buffer in op.writes),
        unread=sum(sizes[buffer] for buffer in op.writes if not program.readers[buffer]),
        inputs=tuple((sizes[buffer], program.readers[buffer]) for buffer in op.reads),
        over=tuple(program.readers[buffer] for buffer in op.over),
    )

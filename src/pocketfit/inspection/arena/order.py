"""An order of the ops in which fewer bytes are in use at once.

An op that every other one comes either before or after, in all orders, parts a program into segments. What is in use
between two segments does not depend on the order inside them, so that each is ordered for itself. Most networks fall
into segments of a few ops; those that hold the peak are searched, most of them exhaustively, until their order is as
good as a bound allows that was computed before.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from pocketfit.inspection.arena.bound import any_order_bound
from pocketfit.inspection.arena.cut import cut_bytes
from pocketfit.inspection.arena.liveness import blocks_of, live_bytes
from pocketfit.inspection.arena.program import Program
from pocketfit.inspection.arena.search import Search

__all__ = ["SETS", "Ordering", "find_order", "segments"]

# Looked at in all segments together, about 0.1 s.
SETS = 4_000
# Ops of a segment whose bound is computed, 1 ms each in wide networks.
CUTS = 40


@dataclass(frozen=True)
class Ordering:
    """An order of the ops and how good it is.

    Args:
        order: numbers of the ops, each after all that it needs.
        peak: the largest number of bytes in use at once.
        bound: what `peak` cannot be below in any order.
    """

    order: tuple[int, ...]
    peak: int
    bound: int


def find_order(program: Program, sets: int = SETS) -> Ordering:
    """The order with the lowest peak that a bounded search finds, the program's own where none is lower.

    The segments are searched in falling order of their peak, each only as far as the whole can gain by it.

    Args:
        program: whose ops are to be ordered.
        sets: how many sets of ops are looked at before the search stops being exhaustive.
    """
    given = range(len(program.ops))
    live = live_bytes(blocks_of(program, given), len(program.ops))
    search = Search(program, sets)
    order, bound, reached = list(given), any_order_bound(program), 0
    for segment in sorted(segments(program), key=lambda one: -_peak(live, one)):
        peak = _peak(live, segment)
        if peak > max(bound, reached):
            bound = max(bound, _cut_bound(program, segment, live))
        if peak > max(bound, reached):
            found = search.run(segment, below=peak, floor=max(bound, reached))
            order[segment.start : segment.stop] = found.order
            # A search that begins at what another segment takes anyway says nothing of what is below that.
            bound = found.bound if found.bound > max(bound, reached) else bound
            peak = found.peak
        reached = max(reached, peak)
    return Ordering(tuple(order), reached, bound)


def segments(program: Program) -> list[range]:
    """The ops in pieces that every order runs one after another."""
    last = len(program.ops) - 1
    ends = [
        number + 1
        for number in range(len(program.ops))
        if program.before[number].bit_count() == number and program.after[number].bit_count() == last - number
    ]
    return [range(start, stop) for start, stop in zip([0, *ends[:-1]], ends, strict=True)]


def _cut_bound(program: Program, segment: range, live: Sequence[int]) -> int:
    """The largest of `cut_bytes` over the ops with most in use in the given order."""
    fullest = heapq.nlargest(CUTS, segment, key=live.__getitem__)
    return max(cut_bytes(program, number) for number in fullest)


def _peak(live: Sequence[int], segment: range) -> int:
    return max(live[number] for number in segment)

import heapq
from collections.abc import Callable

import pytest

from pocketfit.inspection.arena.bound import given_order_bound
from pocketfit.inspection.arena.liveness import blocks_of
from pocketfit.inspection.arena.order import find_order, segments
from pocketfit.inspection.arena.program import Program

Make = Callable[..., Program]
Random = Callable[[int, int], Program]


def peak(program: Program, order: tuple[int, ...] | None = None) -> int:
    order = tuple(range(len(program.ops))) if order is None else order
    return given_order_bound(blocks_of(program, order), len(order))


def test_a_chain_stays_as_it_is(program: Make) -> None:
    found = find_order(program([((), 1), ((0,), 5), ((1,), 3)]))
    assert found.order == (0, 1, 2, 3)
    assert found.peak == found.bound == 8 * 64


def test_a_branch_is_finished_before_the_next_begins(program: Make) -> None:
    # Written breadth first, both wide tensors are alive at once; one branch after the other needs 9 + 1.
    rows = [((), 1), ((0,), 8), ((0,), 8), ((1,), 1), ((2,), 1), ((3, 4), 1)]
    found = find_order(program(rows))
    assert peak(program(rows)) == 17 * 64
    assert found.peak == found.bound == 10 * 64
    assert found.order in {(0, 1, 3, 2, 4, 5, 6), (0, 2, 4, 1, 3, 5, 6)}


def test_the_branch_that_leaves_least_runs_first(program: Make) -> None:
    # Branch a peaks at 3 and leaves 3, branch b peaks at 8 and leaves 1: b first.
    rows = [((), 1), ((0,), 3), ((0,), 7), ((2,), 1), ((1, 3), 1)]
    found = find_order(program(rows))
    assert peak(program(rows)) == 11 * 64
    assert found.order == (0, 2, 3, 1, 4, 5)
    assert found.peak == found.bound == 9 * 64


def test_inception_branches(program: Make) -> None:
    wide = [6, 4, 5, 2]
    rows: list[tuple[tuple[int, ...], int]] = [((), 2)]
    rows += [((0,), units) for units in wide]
    rows += [((1 + branch,), 2) for branch in range(4)]
    rows += [((5, 6, 7, 8), 8)]
    found = find_order(program(rows))
    # The last branch still has its input, three finished branches and its own two tensors: 2 + 6 + 2 + 2 at best,
    # while the concatenation needs 8 + 8.
    assert found.peak == found.bound == 16 * 64 < peak(program(rows))


def test_sharing_is_part_of_the_search(program: Make) -> None:
    # Op 2 may write over the input only if op 1 has read it.
    rows = [((), 4), ((0,), 4), ((0,), 1), ((1, 2), 1)]
    assert find_order(program(rows)).order == (0, 1, 2, 3, 4)
    found = find_order(program(rows, in_place=(1,)))
    assert (found.order, found.peak) == ((0, 2, 1, 3, 4), 6 * 64)


def test_segments_end_where_every_order_passes(program: Make) -> None:
    found = program([((), 1), ((0,), 1), ((0,), 1), ((1, 2), 1), ((3,), 1)])
    assert segments(found) == [range(0, 1), range(1, 4), range(4, 5), range(5, 6)]


@pytest.mark.parametrize("seed", range(60))
def test_small_programs_get_the_best_order_of_all(seed: int, random_program: Random) -> None:
    program = random_program(seed, 8)
    found = find_order(program)
    assert found.peak == found.bound == _best_peak(program) == peak(program, found.order)


@pytest.mark.parametrize("sets", [0, 50, 4000])
@pytest.mark.parametrize(("seed", "count"), [(1, 20), (2, 30), (3, 40), (4, 60)])
def test_orders_are_valid_and_never_worse(seed: int, count: int, sets: int, random_program: Random) -> None:
    program = random_program(seed, count)
    found = find_order(program, sets)
    place = {op: step for step, op in enumerate(found.order)}
    assert sorted(found.order) == list(range(count + 1))
    assert all(place[need] < place[number] for number, op in enumerate(program.ops) for need in op.needs)
    assert found.bound <= found.peak <= peak(program)
    assert found.peak == peak(program, found.order)


def test_a_beam_finds_better_orders_where_the_search_may_not_look(random_program: Random) -> None:
    programs = [random_program(seed, 30) for seed in range(10)]
    assert sum(find_order(program, 0).peak < peak(program) for program in programs) >= 5


def test_what_a_cut_short_search_rules_out_holds(random_program: Random) -> None:
    for seed in range(30):
        program = random_program(seed, 10)
        assert find_order(program, 5).bound <= _best_peak(program)


def _best_peak(program: Program) -> int:
    """By Dijkstra's algorithm over all sets of ops, with none of the search's shortcuts."""
    needs = [sum(1 << need for need in op.needs) for op in program.ops]
    heap, settled = [(0, 0)], set[int]()
    while heap:
        reached, done = heapq.heappop(heap)
        if done == (1 << len(program.ops)) - 1:
            return reached
        if done in settled:
            continue
        settled.add(done)
        for number in range(len(program.ops)):
            if not done >> number & 1 and not needs[number] & ~done:
                heapq.heappush(heap, (max(reached, _during(program, number, done)), done | 1 << number))
    raise AssertionError("the ops wait for each other")


def _during(program: Program, number: int, done: int) -> int:
    op, after = program.ops[number], done | 1 << number
    pairs = zip(program.buffers, program.writer, program.readers, strict=True)
    live = sum(buffer.size for buffer, writer, readers in pairs if done >> writer & 1 and readers & ~done)
    written = sum(program.buffers[buffer].size for buffer in op.writes)
    in_place = any(not program.readers[buffer] & ~after for buffer in op.over)
    return live + (0 if in_place else written)

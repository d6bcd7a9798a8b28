from collections.abc import Callable
from itertools import permutations

import pytest

from pocketfit.inspection.arena.bound import any_order_bound, forced_bytes, given_order_bound
from pocketfit.inspection.arena.liveness import blocks_of
from pocketfit.inspection.arena.program import Program, aligned, bits

Make = Callable[..., Program]


def test_sizes_are_rounded_up_to_cache_lines() -> None:
    assert [aligned(size) for size in (0, 1, 64, 65)] == [0, 64, 64, 128]


def test_bits_are_numbered_from_the_smallest() -> None:
    assert bits(0b101001) == [0, 3, 5]


def test_a_chain_needs_the_largest_input_with_its_output(program: Make) -> None:
    found = program([((), 1), ((0,), 5), ((1,), 3), ((2,), 1)])
    assert any_order_bound(found) == given_order_bound(blocks_of(found, range(5)), 5) == 8 * 64


def test_a_skip_counts_while_it_waits(program: Make) -> None:
    found = program([((), 2), ((0,), 4), ((1,), 4), ((2, 0), 2)])
    assert forced_bytes(found) == [2 * 64, 6 * 64, 10 * 64, 8 * 64, 2 * 64]


def test_what_may_be_written_in_place_is_not_counted_twice(program: Make) -> None:
    rows = [((), 4), ((0,), 4), ((1,), 1)]
    assert any_order_bound(program(rows)) == 8 * 64
    assert any_order_bound(program(rows, in_place=(1,))) == 5 * 64


def test_an_input_that_is_read_later_in_every_order_cannot_be_overwritten(program: Make) -> None:
    found = program([((), 4), ((0,), 4), ((1, 0), 4)], in_place=(1,))
    assert forced_bytes(found)[1] == 8 * 64


def test_branches_that_may_run_apart_are_not_counted_together(program: Make) -> None:
    found = program([((), 1), ((0,), 8), ((1,), 1), ((0,), 8), ((3,), 1), ((2, 4), 1)])
    assert forced_bytes(found)[1] == 9 * 64


@pytest.mark.parametrize("seed", range(20))
def test_no_order_is_below_the_bound(seed: int, random_program: Callable[[int, int], Program]) -> None:
    found = random_program(seed, 6)
    peaks = [given_order_bound(blocks_of(found, order), 7) for order in _orders(found)]
    assert any_order_bound(found) <= min(peaks)


def _orders(program: Program) -> list[tuple[int, ...]]:
    count = len(program.ops)
    return [
        order
        for order in permutations(range(count))
        if all(order.index(need) < order.index(op) for op in range(count) for need in program.ops[op].needs)
    ]

from collections.abc import Callable
from itertools import permutations

import pytest

from pocketfit.inspection.arena.bound import any_order_bound, forced_bytes
from pocketfit.inspection.arena.cut import cut_bytes
from pocketfit.inspection.arena.liveness import blocks_of, live_bytes
from pocketfit.inspection.arena.order import find_order
from pocketfit.inspection.arena.program import Program

Make = Callable[..., Program]
Random = Callable[[int, int], Program]


def test_in_a_chain_nothing_waits(program: Make) -> None:
    found = program([((), 1), ((0,), 5), ((1,), 3), ((2,), 1)])
    assert [cut_bytes(found, op) for op in range(5)] == forced_bytes(found) == [64, 6 * 64, 8 * 64, 4 * 64, 64]


def test_the_other_branch_waits_where_it_is_narrowest(program: Make) -> None:
    # While op 5 runs, the other branch holds 3, 6, 2 or 4 units, by how far it has come. While op 4 runs, it need not
    # have begun: it reads the same input.
    rows = [((), 3), ((0,), 6), ((1,), 2), ((2,), 4), ((0,), 7), ((4,), 7), ((3, 5), 1)]
    found = program(rows)
    assert forced_bytes(found)[5] == 14 * 64
    assert cut_bytes(found, 5) == 16 * 64
    assert cut_bytes(found, 4) == 10 * 64


def test_three_branches_hold_something_each(program: Make) -> None:
    rows = [((), 9), ((0,), 2), ((0,), 2), ((0,), 2), ((1,), 8), ((2,), 8), ((3,), 8), ((4,), 2), ((5,), 2), ((6,), 2)]
    found = program([*rows, ((7, 8, 9), 6)])
    # Of the other two branches no buffer is in use in every order, and yet each holds two units.
    assert any_order_bound(found) == 12 * 64
    assert [cut_bytes(found, op) for op in (4, 5, 6)] == [14 * 64] * 3
    assert find_order(found).bound == find_order(found).peak == 15 * 64


@pytest.mark.parametrize("seed", range(25))
def test_a_cut_is_what_the_best_order_leaves(seed: int, random_program: Random) -> None:
    program = random_program(seed, 6).without_sharing()
    least = [min(live) for live in zip(*(_live_by_op(program, order) for order in _orders(program)), strict=True)]
    assert [cut_bytes(program, op) for op in range(7)] == least


@pytest.mark.parametrize("seed", range(25))
def test_with_sharing_a_cut_is_a_bound(seed: int, random_program: Random) -> None:
    program = random_program(seed, 6)
    least = [min(live) for live in zip(*(_live_by_op(program, order) for order in _orders(program)), strict=True)]
    cuts = [cut_bytes(program, op) for op in range(7)]
    assert all(forced <= cut <= live for forced, cut, live in zip(forced_bytes(program), cuts, least, strict=True))


def _live_by_op(program: Program, order: tuple[int, ...]) -> list[int]:
    live = dict(zip(order, live_bytes(blocks_of(program, order), len(order)), strict=True))
    return [live[op] for op in range(len(order))]


def _orders(program: Program) -> list[tuple[int, ...]]:
    count = len(program.ops)
    return [
        order
        for order in permutations(range(count))
        if all(order.index(need) < order.index(op) for op in range(count) for need in program.ops[op].needs)
    ]

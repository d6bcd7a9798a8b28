from collections.abc import Callable

import pytest

from pocketfit.inspection.arena.bound import given_order_bound
from pocketfit.inspection.arena.layout import best_layout, greedy_by_breadth, greedy_by_size, overlaps
from pocketfit.inspection.arena.liveness import Block, blocks_of
from pocketfit.inspection.arena.program import Program


def blocks(*rows: tuple[int, int, int]) -> tuple[Block, ...]:
    """Of size, birth and death."""
    return tuple(Block((number,), *row) for number, row in enumerate(rows))


def test_blocks_that_never_meet_share_memory() -> None:
    found = greedy_by_size(blocks((64, 0, 0), (128, 1, 1)))
    assert (found.offsets, found.size) == ((0, 0), 128)


def test_greedy_takes_the_smallest_gap_that_holds_a_block() -> None:
    # When the last block comes, gaps of 10 and of 8 bytes are free in its step.
    found = greedy_by_size(blocks((10, 0, 0), (9, 0, 1), (8, 0, 0), (7, 0, 1), (6, 1, 1)))
    assert found.offsets == (0, 10, 19, 27, 19)


def test_greedy_by_breadth_serves_the_fullest_step_first() -> None:
    rows = blocks((5, 0, 0), (3, 0, 1), (3, 1, 1), (3, 1, 1))
    assert greedy_by_size(rows).offsets[0] == 0
    assert greedy_by_breadth(rows).offsets == (3, 0, 3, 6)


# Each is a case in which greedy by size leaves a hole.
HOLES = [
    blocks((4, 0, 1), (3, 1, 2), (2, 2, 3), (4, 3, 4), (3, 0, 0), (3, 2, 2), (2, 1, 1)),
    blocks((9, 0, 0), (5, 0, 2), (8, 1, 1), (7, 2, 3), (6, 3, 3), (2, 1, 3)),
]


@pytest.mark.parametrize("rows", HOLES)
def test_the_best_layout_is_sound_and_not_above_greedy(rows: tuple[Block, ...]) -> None:
    found = best_layout(rows, 5)
    assert not overlaps(rows, found.offsets)
    assert given_order_bound(rows, 5) <= found.size <= greedy_by_size(rows).size


def test_climbing_fills_what_greedy_leaves_empty(random_program: Callable[[int, int], Program]) -> None:
    better = 0
    for seed in range(30):
        program = random_program(seed, 12)
        found = blocks_of(program, range(13))
        better += best_layout(found, 13).size == given_order_bound(found, 13) < greedy_by_size(found).size
    assert better >= 3


@pytest.mark.parametrize("count", [5, 15, 40])
@pytest.mark.parametrize("seed", range(10))
def test_random_layouts(seed: int, count: int, random_program: Callable[[int, int], Program]) -> None:
    found = blocks_of(random_program(seed, count), range(count + 1))
    best, greedy = best_layout(found, count + 1), greedy_by_size(found)
    assert not overlaps(found, best.offsets)
    assert not overlaps(found, greedy.offsets)
    assert given_order_bound(found, count + 1) <= best.size <= greedy.size


def test_a_layout_is_the_same_every_time(random_program: Callable[[int, int], Program]) -> None:
    found = blocks_of(random_program(3, 40), range(41))
    assert best_layout(found, 41) == best_layout(found, 41)


def test_overlaps_are_found() -> None:
    rows = blocks((64, 0, 1), (64, 1, 2), (64, 2, 2))
    assert overlaps(rows, (0, 32, 0)) == [(0, 1), (1, 2)]
    assert overlaps(rows, (0, 64, 0)) == []


def test_nothing_takes_nothing() -> None:
    assert best_layout((), 0).size == 0
    assert greedy_by_breadth(()).offsets == ()

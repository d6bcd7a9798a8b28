from collections.abc import Callable

from pocketfit.inspection.arena.liveness import Block, blocks_of, live_bytes
from pocketfit.inspection.arena.program import Program

Make = Callable[..., Program]


def test_a_buffer_lives_from_its_writer_to_its_last_reader(program: Make) -> None:
    found = program([((), 1), ((0,), 2), ((1,), 3), ((2, 0), 4)])
    assert blocks_of(found, range(5)) == (
        Block((0,), 64, 0, 3),
        Block((1,), 128, 1, 2),
        Block((2,), 192, 2, 3),
        Block((3,), 256, 3, 4),
    )
    assert live_bytes(blocks_of(found, range(5)), 5) == [64, 192, 384, 512, 256]


def test_a_buffer_nobody_reads_is_gone_after_its_step(program: Make) -> None:
    assert blocks_of(program([((), 1), ((), 2)]), range(3))[0] == Block((0,), 64, 0, 0)


def test_lifetimes_follow_the_order(program: Make) -> None:
    found = program([((), 1), ((0,), 1), ((0,), 1), ((1, 2), 1)])
    assert [(block.birth, block.death) for block in blocks_of(found, (0, 2, 1, 3, 4))] == [
        (0, 2),
        (1, 3),
        (2, 3),
        (3, 4),
    ]


def test_the_last_reader_writes_over_its_input(program: Make) -> None:
    found = program([((), 2), ((0,), 2), ((0,), 2), ((1, 2), 2)], in_place=(1, 2, 3))
    # Op 1 reads the input before op 2 does, so that op 2 alone can write over it; op 3 takes one of its two inputs.
    assert blocks_of(found, range(5)) == (Block((0, 2), 128, 0, 3), Block((1, 3), 128, 1, 4))
    assert live_bytes(blocks_of(found, range(5)), 5) == [128, 256, 256, 256, 128]


def test_a_smaller_input_is_not_written_over(program: Make) -> None:
    assert len(blocks_of(program([((), 1), ((0,), 2)], in_place=(1,)), range(3))) == 2


def test_nothing_is_written_over_where_sharing_is_off(program: Make) -> None:
    found = program([((), 2), ((0,), 2)], in_place=(1,))
    assert len(blocks_of(found, range(3))) == 1
    assert len(blocks_of(found.without_sharing(), range(3))) == 2

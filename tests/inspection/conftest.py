"""Programs for the memory planner, by hand and at random."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from pocketfit.inspection.arena.program import Buffer, Op, Program

UNIT = 64


@pytest.fixture
def program() -> Callable[..., Program]:
    """Makes a program of `(reads, units)`: one op a row, which reads the outputs of earlier rows and writes one buffer.

    An op that is named in `in_place` may write over any input of its size. The last row's buffer is returned.
    """

    def make(rows: Sequence[tuple[Sequence[int], int]], in_place: Sequence[int] = ()) -> Program:
        buffers = tuple(Buffer(f"t{number}", "", units * UNIT) for number, (_, units) in enumerate(rows))
        ops = [
            Op(
                f"t{number}",
                tuple(reads),
                tuple(reads),
                (number,),
                tuple(read for read in reads if number in in_place and rows[read][1] == units),
            )
            for number, (reads, units) in enumerate(rows)
        ]
        return Program((*ops, Op("output", tuple(range(len(rows))), (len(rows) - 1,))), buffers)

    return make


@pytest.fixture
def random_program() -> Callable[[int, int], Program]:
    """Makes a program of so many ops from a seed: branches, skips, outputs nobody reads, several outputs, in place."""

    def make(seed: int, count: int) -> Program:
        generator = random.Random(seed)
        ops: list[Op] = []
        buffers: list[Buffer] = []
        for number in range(count):
            near = range(max(0, number - generator.choice([2, 4, count])), number)
            needs = tuple(sorted(generator.sample(near, min(len(near), generator.choice([1, 1, 2, 3])))))
            reads = tuple(sorted({generator.choice(ops[need].writes) for need in needs}))
            writes = tuple(range(len(buffers), len(buffers) + generator.choice([1, 1, 1, 2])))
            sizes = [UNIT * generator.choice([1, 2, 2, 4, 4, 8, generator.randint(1, 20)]) for _ in writes]
            buffers += [Buffer(f"t{one}", "", size) for one, size in zip(writes, sizes, strict=True)]
            over = [one for one in reads if len(writes) == 1 and buffers[one].size == sizes[0]]
            ops.append(Op(f"op{number}", needs, reads, writes, tuple(over) if generator.random() < 0.7 else ()))
        ops.append(Op("output", tuple(range(count)), ops[-1].writes[:1]))
        return Program(tuple(ops), tuple(buffers))

    return make

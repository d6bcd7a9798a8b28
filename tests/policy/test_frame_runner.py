"""A simulated camera and a model on threads of their own. Nothing here depends on how fast they are."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from pocketfit.errors import InputError
from pocketfit.policy import Action
from pocketfit.policy.frame_runner import FrameRunner
from pocketfit.policy.frames import EVERY_FRAME, Pace

# No frame is too early or stale, however slow the machine is.
PATIENT = Pace(interval_us=0, stale_us=2**31 - 1)
FRAMES, SIDE = 2_000, 64


def fill(number: int):
    def write(buffer: list[int]) -> None:
        buffer[:] = [number] * SIDE

    return write


def test_each_frame_is_run_at_most_once_whole_in_order_and_the_last_one_is_run():
    buffers = [[-1] * SIDE for _ in range(3)]
    seen, used, steps = [], [], []

    def run(buffer: list[int]) -> int:
        before = list(buffer)
        assert sum(range(500)) and buffer == before == before[:1] * SIDE
        seen.append(id(buffer))
        return before[0]

    with FrameRunner(run, lambda number, answer: used.append((number, answer)), buffers, PATIENT) as runner:
        for number in range(FRAMES):
            steps.append(runner.offer(fill(number)))
    assert all(number == answer for number, answer in used)
    assert all(before[0] < after[0] for before, after in pairwise(used))
    assert used[-1][0] == FRAMES - 1
    assert set(seen) <= {id(buffer) for buffer in buffers}
    displaced = [step.displaced for step in steps if step.displaced >= 0]
    assert len(used) + len(displaced) == FRAMES
    assert not {number for number, _ in used} & set(displaced)


def test_frames_that_the_policy_leaves_out_are_not_written_and_warm_ups_are_not_used():
    used: list[int] = []
    skip, warm_up = (replace(EVERY_FRAME, action=action) for action in (Action.SKIP, Action.WARM_UP))
    with FrameRunner(
        lambda buffer: buffer[0], lambda number, answer: used.append(answer), [[0], [0], [0]], PATIENT
    ) as runner:
        runner.offer(fill(7), warm_up)
        while runner.in_flight:
            pass
        runner.offer(lambda buffer: pytest.fail("was written"), skip)
        runner.offer(fill(9))
    assert used == [9]


def test_what_the_model_raises_reaches_the_camera():
    def run(buffer: list[int]) -> int:
        raise ValueError("no such input")

    runner = FrameRunner(run, lambda number, answer: None, [[0], [0], [0]], PATIENT)
    runner.offer(fill(1))
    runner.close()
    with pytest.raises(ValueError, match="no such input"):
        runner.offer(fill(2))


def test_two_buffers_are_refused():
    with pytest.raises(InputError, match="2 buffers were given; 3 are needed"):
        FrameRunner(lambda buffer: 0, lambda number, answer: None, [[0], [0]])

"""Drop, do not queue; the latest frame wins; what the policy says is obeyed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from pocketfit.errors import InputError, OutputError
from pocketfit.policy import Action, Command, Decision
from pocketfit.policy.frame_vectors import (
    COMMITTED_FRAMES,
    frame_case_from_json,
    random_camera,
    write_frame_vectors,
)
from pocketfit.policy.frames import EVERY_FRAME, FrameState, Outcome, Pace, arrive, finish

LINES = COMMITTED_FRAMES.read_text(encoding="utf-8").splitlines()
UNPACED = Pace(interval_us=0)
SKIP, WAIT = replace(EVERY_FRAME, action=Action.SKIP), replace(EVERY_FRAME, action=Action.WAIT)
WARM_UP = replace(EVERY_FRAME, action=Action.WARM_UP)


def play(pace: Pace, *events: tuple[int, Decision | None]):
    """Steps after frames with decisions, and after ends of inferences (None)."""
    state, steps = FrameState(), []
    for time_us, decision in events:
        state, step = finish(pace, state, time_us) if decision is None else arrive(pace, state, time_us, decision)
        steps.append(step)
    return state, steps


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_the_reference_still_does_as_committed(line: str):
    case, steps = frame_case_from_json(line)
    assert case.replay() == steps


def test_the_committed_cases_try_everything():
    steps = [step for line in LINES for step, _ in frame_case_from_json(line)[1]]
    assert {step.outcome for step in steps} == set(Outcome)
    for name in ("warm_up", "late"):
        assert {getattr(step, name) for step in steps} == {False, True}
    assert {step.fill for step in steps} == {step.buffer for step in steps} - {-1} == {0, 1, 2}


def test_the_latest_frame_wins_and_nothing_queues():
    every = EVERY_FRAME
    state, steps = play(UNPACED, (0, every), (10, every), (20, every), (30, every), (40, None), (50, None))
    assert [step.outcome for step in steps[:4]] == ["start", "keep", "keep", "keep"]
    assert [step.displaced for step in steps[:4]] == [-1, -1, 1, 2]
    assert (steps[4].start, steps[5].start, state.in_flight) == (3, -1, 0)


@pytest.mark.parametrize("seed", range(100))
def test_started_frames_ascend_and_are_never_in_the_camera_s_buffer(seed: int):
    case = random_camera(Random(seed), "camera", 80)
    steps = [step for step, _ in case.replay()]
    started = [step.start for step in steps if step.start >= 0]
    assert all(before < after for before, after in pairwise(started))
    assert not set(started) & {step.displaced for step in steps}
    assert all(step.buffer != step.fill for step in steps)


def test_a_camera_of_60_fps_passes_in_spite_of_jitter_and_one_of_240_is_thinned_to_60():
    rng, counts = Random(1), []
    for period_us in (16_667, 4_167):
        times = [period_us * frame + rng.randint(0, period_us // 3) for frame in range(960)]
        events = [event for time_us in times for event in ((time_us, EVERY_FRAME), (time_us, None))]
        state, taken = FrameState(), 0
        for time_us, decision in events:
            if decision is not None:
                state, step = arrive(Pace(), state, time_us, decision)
                taken += step.outcome is Outcome.START
            elif state.running:
                state, _ = finish(Pace(), state, time_us)
        counts.append(taken)
    assert counts == [960, 241]


def test_skipped_frames_leave_the_waiting_one_and_a_hand_over_drops_it():
    _, steps = play(UNPACED, (0, EVERY_FRAME), (1, EVERY_FRAME), (2, SKIP), (3, WAIT), (4, None))
    assert [step.displaced for step in steps] == [-1, -1, -1, 1, -1]
    assert [step.outcome for step in steps[2:]] == ["skip", "skip", "use"]
    assert steps[-1].start == -1


def test_every_warm_up_is_run_though_its_own_frame_was_dropped():
    _, steps = play(
        UNPACED, (0, WARM_UP), (1, WARM_UP), (2, WARM_UP), (3, EVERY_FRAME), (4, None), (5, EVERY_FRAME), (6, None),
        (7, EVERY_FRAME), (8, None), (9, None),
    )  # fmt: skip
    ends = [step.outcome for step in steps if step.outcome in (Outcome.USE, Outcome.WARM_UP)]
    assert ends == ["warm_up", "warm_up", "warm_up", "use"]


def test_a_hand_over_throws_the_answer_under_way_away_and_times_the_new_variant_anew():
    swap = replace(WAIT, command=Command.SWAP, drop_pending=True)
    used, _ = play(UNPACED, (0, EVERY_FRAME), (40_000, None))
    assert used.frame_us == 40_000
    state, steps = play(
        UNPACED, (0, EVERY_FRAME), (40_000, None), (50_000, EVERY_FRAME), (60_000, swap), (90_000, None)
    )
    assert (steps[-1].outcome, state.frame_us) == ("discard", 40_000)
    state, _ = arrive(UNPACED, state, 100_000)
    state, _ = finish(UNPACED, state, 108_000)
    assert state.frame_us == 8_000


def test_a_stale_frame_is_not_run_and_a_late_answer_is_told():
    _, steps = play(Pace(0, 20_000, 10_000), (0, EVERY_FRAME), (5_000, EVERY_FRAME), (20_001, None))
    assert (steps[-1].late, steps[-1].start, steps[-1].displaced) == (True, -1, 1)


def test_an_answer_without_a_frame_is_refused():
    with pytest.raises(InputError, match="no frame is run"):
        finish(Pace(), FrameState(), 0)


def test_a_pace_out_of_range_is_refused():
    with pytest.raises(InputError, match="budget_us is -1; allowed are 0 to 2147483647"):
        Pace(budget_us=-1)


def test_equal_seeds_write_equal_files(tmp_path: Path):
    for name in ("one", "other"):
        write_frame_vectors(tmp_path / name, count=3, frames=20, seed=5)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_frame_vectors(tmp_path, count=1, frames=2, seed=5)

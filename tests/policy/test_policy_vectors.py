"""The committed vectors hold, and they try what engines get wrong."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from pocketfit.errors import OutputError
from pocketfit.policy import Action, Command
from pocketfit.policy.vectors import COMMITTED, Case, case_from_json, decide, random_case, write_vectors

LINES = COMMITTED.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_the_reference_engine_still_decides_as_committed(line: str):
    case, decisions = case_from_json(line)
    assert decide(case) == decisions


def test_they_try_every_command_action_and_flag():
    decisions = [decision for line in LINES for decision in case_from_json(line)[1]]
    assert {decision.action for decision in decisions} == set(Action)
    assert {decision.command for decision in decisions} == set(Command)
    assert {decision.drop_pending for decision in decisions} == {False, True}
    assert {decision.reset for decision in decisions} == {False, True}


def test_they_try_silent_sensors_and_a_clock_that_goes_back():
    readings = [case_from_json(line)[0].readings for line in LINES]
    assert any(one.battery_percent is None for case in readings for one in case)
    assert any(one.battery_percent in (-1, 101) for case in readings for one in case)
    assert any(after.time_ms < before.time_ms for case in readings for before, after in pairwise(case))


def test_equal_seeds_write_equal_files(tmp_path: Path):
    for name in ("one", "other"):
        write_vectors(tmp_path / name, count=3, frames=5, seed=7)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    first, decisions = case_from_json((tmp_path / "one").read_text().splitlines()[1])
    assert isinstance(first, Case) and len(decisions) == 5


def test_a_random_case_is_one_of_its_seed():
    assert random_case(Random(1), "a", 5) == random_case(Random(1), "a", 5) != random_case(Random(2), "a", 5)


def test_a_file_that_cannot_be_written(tmp_path: Path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_vectors(tmp_path / "none" / "vectors.jsonl", count=1, frames=1, seed=0)

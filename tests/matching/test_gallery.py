"""The gallery, its file, and the vectors that other languages replay."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pocketfit.errors import DataError, InputError, OutputError
from pocketfit.matching import Gallery, Match, normalised
from pocketfit.matching.cosine import dot
from pocketfit.matching.vectors import COMMITTED_MATCHING, replay, write_matching_vectors

LINES = COMMITTED_MATCHING.read_text(encoding="utf-8").splitlines()
CASES = [case for case in map(json.loads, LINES) if "steps" in case]
AXES = np.eye(5, dtype=np.float32)


def gallery(threshold: float = 0.5) -> Gallery:
    filled = Gallery("net", 5, threshold)
    filled.enrol("ann", AXES[:1])
    filled.enrol("bob", AXES[1:3])
    return filled


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_the_reference_still_finds_what_is_committed(line: str) -> None:
    case = json.loads(line)
    assert replay(case) == case["found"]


def test_they_try_every_step_both_accepted_and_refused() -> None:
    seen = {
        (step["do"], found is None) for case in CASES for step, found in zip(case["steps"], case["found"], strict=True)
    }
    assert seen == {(do, refused) for do in ("enrol", "remove", "verify", "search") for refused in (False, True)} | {
        ("reload", False)
    }
    verified = [
        found[1]
        for case in CASES
        for found in case["found"]
        if isinstance(found, list) and found[1:] in ([True], [False])
    ]
    assert set(verified) == {False, True}


def test_a_template_is_the_mean_of_unit_vectors() -> None:
    one = gallery()
    assert one.score("bob", AXES[1] * 7) == pytest.approx(np.sqrt(0.5))
    assert one.enrol("carl", np.stack([AXES[3] * 100, AXES[4] * 0.01])) == pytest.approx(np.sqrt(0.5))


def test_search_is_best_first_and_leaves_strangers_out() -> None:
    one = gallery()
    query = AXES[0] + 0.9 * AXES[1] + 0.9 * AXES[2]
    assert [match.name for match in one.search(query, 5)] == ["bob", "ann"]
    assert [match.name for match in one.search(query)] == ["bob"]
    assert one.search(AXES[4], 5) == [] == Gallery("net", 5, 0.0).search(AXES[0])


def test_equally_alike_are_told_in_the_order_of_enrolment() -> None:
    one = Gallery("net", 5, 0.0)
    for name in "cab":
        one.enrol(name, AXES[:1])
    assert one.search(AXES[0], 2) == [Match("c", 1.0), Match("a", 1.0)]


def test_a_cosine_at_the_threshold_stays_out() -> None:
    assert not gallery(1.0).verify("ann", AXES[0])
    assert gallery(np.nextafter(1, 0)).verify("ann", AXES[0])


def test_a_second_enrolment_replaces_the_first() -> None:
    one = gallery()
    one.enrol("ann", AXES[4:])
    assert (one.names, one.search(AXES[4])[0].name) == (("ann", "bob"), "ann")
    one.remove("ann")
    assert (one.names, one.search(AXES[4])) == (("bob",), [])


@pytest.mark.parametrize(
    ("embeddings", "told"),
    [
        (np.zeros((1, 5)), "no direction"),
        (np.full((1, 5), np.nan), "no direction"),
        (np.full((1, 5), 1e30) * np.inf, "no direction"),
        (np.stack([AXES[0], -AXES[0]]), "no direction"),
        (np.ones((1, 4)), "has 4 numbers"),
        (np.ones((0, 5)), "at least one"),
    ],
    ids=["zeros", "nan", "infinite", "opposite", "short", "none"],
)
def test_what_cannot_be_enrolled_changes_nothing(embeddings: np.ndarray, told: str) -> None:
    one = gallery()
    before = one.to_bytes()
    with pytest.raises(DataError, match=told):
        one.enrol("ann", embeddings)
    assert one.to_bytes() == before


def test_nobody_of_that_name() -> None:
    with pytest.raises(InputError, match="nobody is enrolled as 'zoe'; there are ann, bob"):
        gallery().verify("zoe", AXES[0])


def test_the_file_comes_back(tmp_path: Path) -> None:
    one = gallery()
    one.save(tmp_path / "gallery")
    read = Gallery.load(tmp_path / "gallery", "net", 5, 0.5)
    assert (read.names, read.to_bytes()) == (one.names, one.to_bytes())


def test_a_file_that_ends_anywhere_or_goes_on_is_refused() -> None:
    content = gallery().to_bytes()
    for end in range(len(content)):
        with pytest.raises(DataError):
            Gallery.from_bytes(content[:end], "net", 5, 0.5)
    with pytest.raises(DataError, match="goes on behind its end"):
        Gallery.from_bytes(content + b"\0", "net", 5, 0.5)


@pytest.mark.parametrize(("model", "length"), [("other", 5), ("net", 6)])
def test_a_gallery_of_another_model_is_refused(model: str, length: int) -> None:
    with pytest.raises(DataError, match="Enrol everybody again"):
        Gallery.from_bytes(gallery().to_bytes(), model, length, 0.5)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        gallery().save(tmp_path / "none" / "gallery")
    with pytest.raises(DataError, match="cannot be read"):
        Gallery.load(tmp_path / "none", "net", 5, 0.5)


def test_the_sum_is_the_documented_one() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 11)).astype(np.float32)
    sums = [0.0] * 4
    for i in range(11):
        sums[i % 4] += float(one[i]) * float(other[i])
    assert float(dot(one, other)) == (sums[0] + sums[1]) + (sums[2] + sums[3])


def test_lengths_far_from_one_lose_nothing() -> None:
    row = np.array([3e-20, 4e-20, 0], np.float32)
    assert np.array_equal(normalised(row * np.float32(2.0**100)), normalised(row))


def test_equal_seeds_write_equal_files(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_matching_vectors(tmp_path / name, count=3, steps=5, seed=7)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    with pytest.raises(OutputError, match="cannot be written"):
        write_matching_vectors(tmp_path / "none" / "vectors.jsonl", count=1, steps=1, seed=0)

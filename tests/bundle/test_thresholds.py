"""`pocketfit bundle threshold` on a real bundle, and what a reader refuses of thresholds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketfit.bundle import Contents, join_bundles, read_bundle, verify_bundle, write_bundle
from pocketfit.bundle.thresholds import store_thresholds
from pocketfit.cli.app import run
from pocketfit.errors import InputError
from pocketfit.matching import ArtifactThreshold, Gallery, Thresholds, cosines, operating_points
from pocketfit.types import Precision

Edit = Callable[[Path, Callable[[dict], object]], None]
FLOAT, INT8 = ("onnxruntime", Precision.FLOAT32), ("onnxruntime", Precision.INT8)


@pytest.fixture
def bundle(contents: Contents, tmp_path: Path) -> Path:
    return write_bundle(contents, tmp_path / "bundle")


@pytest.fixture
def persons(tmp_path: Path) -> Path:
    """Inputs of the linear model whose 20 persons it tells apart by its three scores, more or less."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 12)
    x = random.normal(size=(20, 1, 4, 4))[labels] + 0.3 * random.normal(size=(240, 1, 4, 4))
    np.savez(tmp_path / "persons.npz", x=x.astype(np.float32), y=labels)
    return tmp_path / "persons.npz"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    members = random.integers(0, 60, (500, 2))
    same = members[:, 0] % 6 == members[:, 1] % 6
    x = random.normal(size=(6, 1, 4, 4))[np.arange(60) % 6] + 0.3 * random.normal(size=(60, 1, 4, 4))
    np.savez(tmp_path / "pairs.npz", x=x.astype(np.float32), pairs=members, same=same)
    return tmp_path / "pairs.npz"


def threshold(bundle: Path, *more: object) -> int:
    cache = str(bundle.parent / "cache")
    return run(["bundle", "threshold", str(bundle), "--cache", cache, *map(str, more)])


def stored(artifact: tuple[str, Precision] = INT8) -> Thresholds:
    one = ArtifactThreshold(*artifact, 0.3, 0.01, 0.001, 0.02, 0.9, 0.8, 0.95)
    return Thresholds("cosine", 3, 0.01, "faces", 50, 40, 1000, (one,))


def test_each_artifact_has_a_threshold_of_its_own(bundle: Path, persons: Path, capsys: pytest.CaptureFixture) -> None:
    assert threshold(bundle, "--data", persons, "--far", "1e-2", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    read = read_bundle(bundle).thresholds()
    assert read is not None
    floats, int8 = read.of(*FLOAT), read.of(*INT8)
    assert floats.threshold != int8.threshold
    assert [one["threshold"] for one in told["artifacts"]] == [floats.threshold, int8.threshold]
    assert (read.score, read.length, read.wanted, read.samples) == ("cosine", 3, 1e-2, 140)
    assert read.genuine + read.impostors == 140 * 139 // 2
    assert told["not_claimed"] == [1e-4]
    assert [point["wanted"] for point in told["table"][0]["points"]] == [1e-1, 1e-2, 1e-3]


def test_the_bundle_is_whole_and_its_gallery_knows_the_threshold(bundle: Path, persons: Path) -> None:
    assert threshold(bundle, "--data", persons, "--far", "1e-2") == 0
    assert len(verify_bundle(bundle).checks) == 2
    read = read_bundle(bundle)
    gallery = read.gallery(read.manifest.artifacts[1])
    thresholds = read.thresholds()
    assert thresholds is not None
    assert (gallery.threshold, gallery.length) == (thresholds.of(*INT8).threshold, 3)
    assert gallery.model == "f" * 64 + " onnxruntime int8"


def test_pairs_from_a_file(bundle: Path, pairs: Path, tmp_path: Path) -> None:
    assert threshold(bundle, "--pairs", pairs, "--far", "1e-2", "-o", tmp_path / "out") == 0
    assert read_bundle(bundle).thresholds() is None
    read = read_bundle(tmp_path / "out").thresholds()
    assert read is not None
    with np.load(pairs) as archive:
        genuine = archive["same"]
    assert (read.genuine, read.impostors) == (int(genuine.sum()), int((~genuine).sum()))


def test_a_dry_run_changes_nothing(bundle: Path, persons: Path, capsys: pytest.CaptureFixture) -> None:
    before = (bundle / "manifest.json").read_bytes()
    assert threshold(bundle, "--data", persons, "--far", "1e-2", "--dry-run") == 0
    assert (bundle / "manifest.json").read_bytes() == before
    out = capsys.readouterr().out
    assert "Nothing is claimed of FAR 0.0001" in out and "onnxruntime int8" in out


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--far", "1e-6"], "Give more data for --far 1e-06, or a larger rate"),
        (["--far", "2"], "no false-accept rate"),
        (["--runtimes", "ncnn"], "has nothing for ncnn"),
        (["--live-class", "7"], "Class 7 is not among the 3"),
    ],
)
def test_what_cannot_be_is_refused(
    bundle: Path, persons: Path, more: list[str], told: str, capsys: pytest.CaptureFixture
) -> None:
    assert threshold(bundle, "--data", persons, *more) == 2
    assert told in capsys.readouterr().err
    assert read_bundle(bundle).thresholds() is None


def test_data_or_pairs_and_one_of_them(bundle: Path, pairs: Path, capsys: pytest.CaptureFixture) -> None:
    assert threshold(bundle) == 2
    assert threshold(bundle, "--data", "digits", "--pairs", pairs) == 2
    assert threshold(bundle, "--pairs", pairs, "--live-class", "1") == 2
    assert "one of the two" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("x", np.zeros((60, 2), np.float32), "x in"),
        ("pairs", np.zeros((3, 3), int), "pairs in"),
        ("pairs", np.array([[0, 60]] * 500), "pairs in"),
        ("pairs", np.array([[0, -1]] * 500), "pairs in"),
        ("same", np.full(500, 2), "same in"),
        ("same", np.ones(3, bool), "same in"),
    ],
)
def test_a_spoilt_file_of_pairs_is_refused(
    bundle: Path, pairs: Path, name: str, value: np.ndarray, told: str, capsys: pytest.CaptureFixture
) -> None:
    with np.load(pairs) as archive:
        arrays = dict(archive)
    np.savez(pairs, **(arrays | {name: value}))
    assert threshold(bundle, "--pairs", pairs) == 2
    assert told in capsys.readouterr().err


def test_a_file_that_holds_no_pairs(bundle: Path, persons: Path, capsys: pytest.CaptureFixture) -> None:
    assert threshold(bundle, "--pairs", persons) == 2
    assert "cannot be read as pairs" in capsys.readouterr().err


def test_a_gate_is_scored_by_its_class(bundle: Path, persons: Path) -> None:
    with np.load(persons) as archive:
        np.savez(persons, x=archive["x"], y=(archive["y"] < 10).astype(int))
    assert threshold(bundle, "--data", persons, "--live-class", "1", "--far", "1e-1") == 0
    read = read_bundle(bundle)
    thresholds = read.thresholds()
    assert thresholds is not None
    assert (thresholds.score, thresholds.live_class, thresholds.genuine + thresholds.impostors) == (
        "probability",
        1,
        140,
    )
    with pytest.raises(InputError, match="no threshold of cosines"):
        read.gallery(read.manifest.artifacts[0])


def test_a_threshold_of_no_artifact_is_refused(bundle: Path, tmp_path: Path) -> None:
    path = store_thresholds(read_bundle(bundle), stored(("ncnn", Precision.INT8)), tmp_path / "out")
    with pytest.raises(InputError, match="threshold of ncnn int8, of which"):
        verify_bundle(path)


@pytest.mark.parametrize("spoil", [{"version": 2}, {"more": 1}, {"artifacts": []}, {"wanted": 0}, {"score": "luck"}])
def test_spoilt_thresholds_are_refused(bundle: Path, tmp_path: Path, spoil: dict, edit_manifest: Edit) -> None:
    import hashlib

    path = store_thresholds(read_bundle(bundle), stored(), tmp_path / "out")
    file = path / "thresholds.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | spoil))
    content = file.read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edit_manifest(path, lambda data: data["files"].update({"thresholds.json": entry}))
    with pytest.raises(InputError, match="the thresholds are not valid"):
        read_bundle(path).thresholds()


def test_an_artifact_without_a_threshold_is_told(bundle: Path, tmp_path: Path) -> None:
    read = read_bundle(store_thresholds(read_bundle(bundle), stored(), tmp_path / "out"))
    with pytest.raises(InputError, match="no threshold of onnxruntime float32; there are those of onnxruntime int8"):
        read.gallery(read.manifest.artifacts[0])


def test_variants_keep_theirs_and_are_not_chosen_for_together(bundle: Path, contents: Contents, tmp_path: Path) -> None:
    with_own = read_bundle(store_thresholds(read_bundle(bundle), stored(), tmp_path / "own"))
    other = read_bundle(write_bundle(contents, tmp_path / "other"))
    both = read_bundle(join_bundles({"full": other, "lite": with_own}, None, tmp_path / "both"))
    assert (both.thresholds(), both.others["lite"].thresholds()) == (None, stored())
    with pytest.raises(InputError, match="several variants"):
        store_thresholds(both, stored(), tmp_path / "out")


def test_scores_are_those_of_the_gallery(persons: Path) -> None:
    with np.load(persons) as archive:
        rows, labels = archive["x"].reshape(240, 16), archive["y"]
    scored = cosines(rows, np.array([[0, 1], [0, 200]]), np.array([True, False]))
    gallery = Gallery("net", 16, 0.0)
    gallery.enrol("one", rows[:1])
    assert [gallery.score("one", rows[1]), gallery.score("one", rows[200])] == list(scored.scores)
    assert labels[0] == labels[1] != labels[200]
    assert operating_points(scored, [0.5]) == ()

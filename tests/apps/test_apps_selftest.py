"""C++, Java and Swift give the answers of the reference, vector by vector."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from pocketfit.bundle.thresholds import store_thresholds
from pocketfit.bundle.vectors import COMMITTED as INTEGRITY
from pocketfit.contract import Boxes, Classes, Color, Contract, Crop, Embedding, Letterbox, ShorterSide, Yuv, YuvFormat
from pocketfit.data.contract import Dtype, Layout, Quantization
from pocketfit.data.contract.vectors import write_vectors as write_steps
from pocketfit.matching import ArtifactThreshold, Thresholds, thresholds_to_json
from pocketfit.matching.vectors import COMMITTED_MATCHING, write_matching_vectors
from pocketfit.policy.frame_vectors import COMMITTED_FRAMES, write_frame_vectors
from pocketfit.policy.vectors import COMMITTED
from pocketfit.policy.vectors import write_vectors as write_policies
from pocketfit.types import Precision

# Enough that every action, command and phase occurs many times; the benchmark replays 10,000.
TRACES = 300

CONTRACTS = {
    "classifier": Contract(
        resize=ShorterSide(20),
        crop=Crop((16, 16)),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        output=Classes(),
    ),
    "camera": Contract(
        input=Yuv(YuvFormat.NV21),
        resize=ShorterSide(20),
        crop=Crop((16, 16)),
        layout=Layout.NHWC,
        dtype=Dtype.INT8,
        quantization=Quantization(1 / 255, -128),
        output=Embedding(),
    ),
    "detector": Contract(resize=Letterbox((16, 16)), color=Color.BGR, output=Boxes(labels=("cat", "dög"))),
}

THRESHOLDS = Thresholds(
    score="cosine",
    length=12,
    wanted=1e-2,
    source="faces",
    samples=50,
    genuine=40,
    impostors=1_000,
    artifacts=(ArtifactThreshold("onnxruntime", Precision.INT8, 0.1 + 0.2, 0.01, 0.001, 0.02, 0.9, 0.8, 0.95),),
)


def all_passed(result):
    code, suites, told = result
    assert code == 0, told
    assert suites
    assert all(suite.passed == suite.total > 0 for suite in suites)
    return {suite.suite: suite.total for suite in suites}


def test_every_step_of_the_contract_bit_for_bit(selftest, tmp_path: Path):
    files = write_steps(tmp_path)
    assert list(all_passed(selftest.run(files))) == [path.stem for path in files]


def test_the_committed_policies(selftest):
    assert all_passed(selftest.run([COMMITTED])) == {"policy": 13}


def test_the_committed_signatures_and_encrypted_texts(selftest):
    assert all_passed(selftest.run(INTEGRITY)) == {"aes_gcm": 300, "ed25519": 392}


def test_random_policies(selftest, tmp_path: Path):
    write_policies(tmp_path / "policies.jsonl", count=TRACES, frames=40, seed=7)
    assert all_passed(selftest.run([tmp_path / "policies.jsonl"])) == {"policy": TRACES + 1}


def test_the_committed_cameras_and_one_with_threads(selftest):
    assert all_passed(selftest.run([COMMITTED_FRAMES])) == {"frames": 24, "frame threads": 1}


def test_random_cameras(selftest, tmp_path: Path):
    write_frame_vectors(tmp_path / "frames.jsonl", count=TRACES, frames=60, seed=7)
    assert all_passed(selftest.run([tmp_path / "frames.jsonl"]))["frames"] == TRACES


def test_a_wrong_step_is_told(selftest, tmp_path: Path):
    case = json.loads(COMMITTED_FRAMES.read_text(encoding="utf-8").splitlines()[0])
    case["steps"]["displaced"][5] = 77
    (tmp_path / "wrong.jsonl").write_text(json.dumps(case))
    code, suites, told = selftest.run([tmp_path / "wrong.jsonl"])
    assert (code, suites[0].passed) == (1, 0)
    assert "frames: camera-0 differs" in told


def test_the_committed_galleries_and_faces(selftest):
    assert all_passed(selftest.run([COMMITTED_MATCHING])) == {"gallery": 24, "align": 24}


def test_random_galleries_and_faces(selftest, tmp_path: Path):
    write_matching_vectors(tmp_path / "matching.jsonl", count=TRACES, steps=40, seed=7)
    assert all_passed(selftest.run([tmp_path / "matching.jsonl"])) == {"gallery": TRACES, "align": TRACES}


@pytest.mark.parametrize("what", ["enrol", "verify", "search", "reload"])
def test_a_wrong_score_is_told(selftest, tmp_path: Path, what: str):
    cases = [json.loads(line) for line in COMMITTED_MATCHING.read_text(encoding="utf-8").splitlines()]
    case, at = next(
        (case, at)
        for case in cases
        if "steps" in case
        for at, step in enumerate(case["steps"])
        if step["do"] == what and case["found"][at]
    )
    case["found"][at] = _a_little_off(case["found"][at])
    (tmp_path / "wrong.jsonl").write_text(json.dumps(case))
    code, suites, told = selftest.run([tmp_path / "wrong.jsonl"])
    assert (code, suites[0].passed, suites[0].total) == (1, 0, 1)
    assert f"gallery: {case['name']} differs" in told


def test_a_wrong_face_is_told(selftest, tmp_path: Path):
    case = json.loads(COMMITTED_MATCHING.read_text(encoding="utf-8").splitlines()[-1])
    case["landmarks"][3] += 1.5
    first = COMMITTED_MATCHING.read_text(encoding="utf-8").splitlines()[0]
    (tmp_path / "wrong.jsonl").write_text(f"{first}\n{json.dumps(case)}")
    code, suites, told = selftest.run([tmp_path / "wrong.jsonl"])
    assert (code, [suite.passed for suite in suites]) == (1, [1, 0])
    assert f"align: {case['name']} differs" in told


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_vectors_of_a_bundle(selftest, bundle, name):
    contract = CONTRACTS[name]
    shape = (16, 16, 3) if contract.layout is Layout.NHWC else (3, 16, 16)
    found = all_passed(selftest.run([bundle(contract, shape).path]))
    answers = 1 if name == "detector" else 2
    assert found == {"bundle preprocessing": 2, "bundle postprocessing": answers, "bundle models": 1}


def test_thresholds_of_a_bundle(selftest, bundle, tmp_path: Path):
    path = store_thresholds(bundle(CONTRACTS["camera"], (16, 16, 3)), THRESHOLDS, tmp_path / "with")
    assert all_passed(selftest.run([path]))["bundle thresholds"] == 1


def test_thresholds_of_another_version_are_refused(selftest, bundle, tmp_path: Path):
    path = store_thresholds(bundle(CONTRACTS["camera"], (16, 16, 3)), THRESHOLDS, tmp_path / "with")
    _replace(path, "thresholds.json", thresholds_to_json(THRESHOLDS).replace('"version": 1', '"version": 2'))
    code, _, message = selftest.run([path])
    assert code == 2
    assert "another version than 1" in message


def test_a_wrong_answer_is_told(selftest, tmp_path: Path):
    case = json.loads(COMMITTED.read_text(encoding="utf-8").splitlines()[0])
    case["decisions"]["action"][3] = "swim"
    (tmp_path / "wrong.jsonl").write_text(json.dumps(case))
    code, suites, told = selftest.run([tmp_path / "wrong.jsonl"])
    assert (code, suites[0].passed, suites[0].total) == (1, 0, 1)
    assert "policy: default differs" in told


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: (path / "preprocess.json").write_text("{}"), "preprocess.json is not the file that was written"),
        (lambda path: (path / "preprocess.json").unlink(), "preprocess.json"),
        (lambda path: _rename(path, "../out.bin"), "../out.bin, which leads out of the bundle"),
        (lambda path: _rename(path, "/etc/passwd"), "/etc/passwd, which leads out of the bundle"),
        (lambda path: _link(path / "preprocess.json"), "reached by a link"),
        (lambda path: (path / "manifest.json").write_text('{"format": "other"}'), "is not a bundle"),
        (lambda path: (path / "manifest.json").write_text('{"format": '), "not JSON"),
        (lambda path: (path / "manifest.json").write_text("[" * 10_000), "too deep"),
        (lambda path: _change(path, schema_version=5), "schema 5"),
    ],
    ids=["changed", "missing", "parent", "absolute", "link", "foreign", "truncated", "deep", "newer"],
)
def test_a_spoilt_bundle_is_refused(selftest, bundle, spoil, told):
    path = bundle(CONTRACTS["classifier"], (3, 16, 16)).path
    spoil(path)
    code, suites, message = selftest.run([path])
    assert (code, suites) == (2, ())
    assert told in message


def test_a_contract_of_a_later_version_is_refused(selftest, tmp_path: Path):
    files = {path.stem: path for path in write_steps(tmp_path)}
    content = json.loads(files["geometry"].read_text(encoding="utf-8"))
    content["cases"][0]["contract"]["version"] = 2
    files["geometry"].write_text(json.dumps(content))
    code, _, message = selftest.run([files["geometry"]])
    assert code == 2
    assert "another version than 1" in message


def test_an_image_smaller_than_the_crop_is_refused(selftest, bundle):
    contract = replace(CONTRACTS["classifier"], resize=None)
    read = bundle(contract, (3, 16, 16))
    vectors = json.loads((read.path / "preprocess_vectors.json").read_text())
    vectors["inputs"][0] |= {"height": 5, "width": 5}
    _replace(read.path, "preprocess_vectors.json", json.dumps(vectors))
    code, _, message = selftest.run([read.path])
    assert code == 2
    assert "smaller than the crop" in message


def _a_little_off(found):
    """The smallest step that a double can take; another text."""
    if isinstance(found, list):
        return [*found[:-1], _a_little_off(found[-1])] if isinstance(found[-1], list) else _off_in_pair(found)
    return math.nextafter(found, 2) if isinstance(found, float) else "0" + found[1:] + "x"


def _off_in_pair(pair):
    at = next(i for i, one in enumerate(pair) if isinstance(one, float))
    return [*pair[:at], math.nextafter(pair[at], 2), *pair[at + 1 :]]


def _change(path: Path, **fields: object) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | fields))


def _rename(path: Path, name: str) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    _change(path, files=manifest["files"] | {name: manifest["files"]["preprocess.json"]})


def _link(path: Path) -> None:
    outside = path.parent.parent / "outside.json"
    path.rename(outside)
    path.symlink_to(outside)


def _replace(path: Path, name: str, text: str) -> None:
    """Change a file and what the manifest says of it."""
    import hashlib

    (path / name).write_text(text)
    manifest = json.loads((path / "manifest.json").read_text())
    entry = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text)}
    _change(path, files=manifest["files"] | {name: entry})

import dataclasses
import hashlib
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketfit.bundle import Contents, check_destination, read_bundle, swap, write_bundle
from pocketfit.errors import OutputError, VerificationFailed
from pocketfit.types import Precision


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder in which only the bundle belongs."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@contextmanager
def small_files() -> Iterator[None]:
    """Writing stops in the middle, as on a full disk: no file of this process may grow beyond 200 bytes.

    Not a fixture: its limit would hold while pytest writes its own report, which may go to a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_layout(contents: Contents, home: Path) -> None:
    write_bundle(contents, home / "out")
    assert list(tree(home / "out")) == [
        "golden/expected-float32.bin",
        "golden/expected-int8-affine.bin",
        "golden/inputs.bin",
        "labels.txt",
        "manifest.json",
        "onnxruntime/float32/model.onnx",
        "onnxruntime/int8/model.onnx",
        "plans/float32.json",
        "plans/int8.json",
        "preprocess.json",
        "preprocess_vectors.json",
        "report.html",
    ]
    assert names(home) == ["out"]


def test_the_manifest_lists_every_file_but_itself_with_its_hash(contents: Contents, home: Path) -> None:
    files = tree(write_bundle(contents, home / "out"))
    listed = json.loads(files.pop("manifest.json"))["files"]
    expected = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    assert listed == expected


def test_equal_content_gives_equal_bytes_whatever_its_order(contents: Contents, home: Path) -> None:
    shuffled = dataclasses.replace(
        contents,
        plans=dict(reversed(contents.plans.items())),
        golden_outputs=dict(reversed(contents.golden_outputs.items())),
        versions=dict(reversed(contents.versions.items())),
    )
    assert tree(write_bundle(contents, home / "a")) == tree(write_bundle(shuffled, home / "b"))


def test_the_manifest_is_strict_json_without_infinities(contents: Contents, home: Path) -> None:
    text = (write_bundle(contents, home / "out") / "manifest.json").read_text()
    assert "Infinity" not in text and "NaN" not in text
    assert json.loads(text)["artifacts"][0]["evidence"]["parity"]["sqnr_db"] is None


def test_only_what_was_chosen_is_marked(contents: Contents, home: Path) -> None:
    artifacts = read_bundle(write_bundle(contents, home / "out")).manifest.artifacts
    assert [(entry.title, entry.chosen) for entry in artifacts] == [
        ("onnxruntime float32", False),
        ("onnxruntime int8", True),
    ]


def test_a_float_artifact_uses_the_float_outputs_of_whatever_scheme(contents: Contents, home: Path) -> None:
    first = read_bundle(write_bundle(contents, home / "out")).manifest.artifacts[0]
    assert first.golden == "float32"


def test_artifacts_of_one_scheme_share_a_golden_set_unless_their_plans_had_to_differ(
    contents: Contents, home: Path
) -> None:
    int8 = contents.candidates[1]
    outputs = contents.golden_outputs["onnxruntime", Precision.INT8]
    same, other = (dataclasses.replace(int8, runtime=name) for name in ("same", "other"))
    grown = dataclasses.replace(
        contents,
        candidates=(*contents.candidates, same, other),
        golden_outputs={
            **contents.golden_outputs,
            ("same", Precision.INT8): outputs.copy(),
            ("other", Precision.INT8): outputs + 1,
        },
        tolerances={**contents.tolerances, ("same", Precision.INT8): 1.0, ("other", Precision.INT8): 1.0},
    )
    read = read_bundle(write_bundle(grown, home / "out"))
    sets = [entry.golden for entry in read.manifest.artifacts]
    assert sets == ["float32", "int8-affine", "int8-affine", "int8-affine-other"]
    np.testing.assert_array_equal(read.golden_outputs(read.manifest.artifacts[3]), outputs + 1)


def test_an_artifact_may_be_a_folder(contents: Contents, home: Path) -> None:
    """As Core ML's packages are: it is found again as one thing, and everything in it has its hash."""
    row = contents.candidates[0]
    assert row.artifact is not None
    package = row.artifact.files[0].with_name("model.package")
    (package / "inner").mkdir(parents=True)
    (package / "inner" / "weights").write_bytes(b"1234")
    (package / "model").write_bytes(b"12")
    artifact = replace(row.artifact, files=(package,), options={"units": "all"})
    bundle = write_bundle(replace(contents, candidates=(replace(row, artifact=artifact),)), home / "out")
    read = read_bundle(bundle)
    (entry,) = read.manifest.artifacts
    assert entry.files == ("onnxruntime/float32/model.package",)
    assert {f"{entry.files[0]}/inner/weights", f"{entry.files[0]}/model"} <= read.manifest.files.keys()
    assert (read.artifact(entry).size_bytes, read.artifact(entry).options) == (6, {"units": "all"})
    (bundle / entry.files[0] / "inner" / "weights").write_bytes(b"1235")
    with pytest.raises(VerificationFailed, match="inner/weights is not the file that was written"):
        read_bundle(bundle)


def test_labels_are_one_a_line(contents: Contents, home: Path) -> None:
    labels = (write_bundle(contents, home / "out") / "labels.txt").read_text(encoding="utf-8")
    assert labels.splitlines() == ["naïve", "two words", "broken line"]


def test_golden_files_are_raw_little_endian_float32(contents: Contents, home: Path) -> None:
    raw = (write_bundle(contents, home / "out") / "golden/inputs.bin").read_bytes()
    np.testing.assert_array_equal(np.frombuffer(raw, "<f4").reshape(4, 1, 4, 4), contents.golden_inputs)


def test_what_is_optional_is_left_out(contents: Contents, home: Path) -> None:
    bare = dataclasses.replace(contents, preprocess=None, classes=(), report_html=None)
    manifest = read_bundle(write_bundle(bare, home / "out")).manifest
    assert (manifest.preprocess, manifest.preprocess_vectors, manifest.labels, manifest.report) == (None,) * 4
    assert not (home / "out/preprocess.json").exists()


def test_missing_parents_are_made_and_an_empty_folder_is_taken(contents: Contents, home: Path) -> None:
    (home / "empty").mkdir()
    write_bundle(contents, home / "empty")
    write_bundle(contents, home / "deep/er/out")
    assert read_bundle(home / "empty").manifest == read_bundle(home / "deep/er/out").manifest


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_bundle_is_replaced(
    contents: Contents, home: Path, monkeypatch: pytest.MonkeyPatch, in_one_step: bool
) -> None:
    write_bundle(contents, home / "out")
    if not in_one_step:
        # There are file systems that cannot exchange; none of them can be counted on to be here.
        monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    write_bundle(dataclasses.replace(contents, model="newer", report_html=None), home / "out")
    assert read_bundle(home / "out").manifest.model.name == "newer"
    assert not (home / "out/report.html").exists()
    assert names(home) == ["out"]


def test_a_reader_finds_a_bundle_at_every_moment_of_a_replacement(contents: Contents, home: Path) -> None:
    write_bundle(contents, home / "out")
    absent, done = [], threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                (home / "out/manifest.json").stat()
            except FileNotFoundError:
                absent.append(True)

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(20):
        write_bundle(contents, home / "out")
    done.set()
    reader.join()
    assert not absent


def test_a_link_to_a_folder_is_followed(contents: Contents, home: Path) -> None:
    (home / "real").mkdir()
    (home / "link").symlink_to("real")
    write_bundle(contents, home / "link")
    assert (home / "link").is_symlink()
    assert (home / "real/manifest.json").exists()


def test_a_foreign_folder_is_left_untouched(contents: Contents, home: Path) -> None:
    (home / "photos").mkdir()
    (home / "photos/cat.jpg").write_bytes(b"cat")
    with pytest.raises(OutputError, match=r"holds cat\.jpg, which is not part of a bundle"):
        write_bundle(contents, home / "photos")
    assert tree(home) == {"photos/cat.jpg": b"cat"}


@pytest.mark.parametrize("manifest", ['{"name": "an app"}', "[1]", "not json", '{"schema_version": 1}'])
def test_a_folder_with_the_manifest_of_another_program_is_foreign(
    contents: Contents, home: Path, manifest: str
) -> None:
    (home / "manifest.json").write_text(manifest)
    with pytest.raises(OutputError, match=r"holds manifest\.json"):
        write_bundle(contents, home)
    assert (home / "manifest.json").read_text() == manifest


def test_a_file_added_to_a_bundle_is_not_lost_with_it(contents: Contents, home: Path) -> None:
    write_bundle(contents, home / "out")
    (home / "out/plans/notes.txt").write_text("mine")
    before = tree(home)
    with pytest.raises(OutputError, match=r"holds plans/notes\.txt, .* move that file away"):
        write_bundle(contents, home / "out")
    assert tree(home) == before


def test_a_damaged_bundle_is_replaced(contents: Contents, home: Path) -> None:
    write_bundle(contents, home / "out")
    (home / "out/labels.txt").write_text("damaged")
    (home / "out/report.html").unlink()
    assert read_bundle(write_bundle(contents, home / "out")).path == home / "out"


def test_a_file_in_the_way_is_refused(contents: Contents, home: Path) -> None:
    (home / "out").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        write_bundle(contents, home / "out")
    assert (home / "out").read_text() == "mine"


def test_a_write_that_fails_halfway_leaves_nothing(contents: Contents, home: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write the bundle .*Nothing was changed there"), small_files():
        write_bundle(contents, home / "out")
    assert names(home) == []


def test_a_write_that_fails_halfway_leaves_the_old_bundle(contents: Contents, home: Path) -> None:
    write_bundle(contents, home / "out")
    before = tree(home)
    with pytest.raises(OutputError), small_files():
        write_bundle(dataclasses.replace(contents, model="newer"), home / "out")
    assert tree(home) == before


def test_a_place_where_nothing_may_be_written_is_refused(contents: Contents) -> None:
    place = Path("/sys/kernel")  # not even root may create anything there
    if not place.exists():
        pytest.skip("Linux only")
    with pytest.raises(OutputError, match=r"correct (the|its) permissions"):
        write_bundle(contents, place / "out")


def test_a_file_among_the_parents_is_refused_before_anything_is_done(home: Path) -> None:
    (home / "file").write_text("mine")
    with pytest.raises(OutputError, match="file is no folder that can be written to"):
        check_destination(home / "file/deep/out")


def test_a_folder_without_write_permission_is_refused_before_anything_is_done(home: Path) -> None:
    home.chmod(0o500)
    if os.access(home, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(OutputError, match="correct its permissions"):
        check_destination(home / "out")


def test_checking_a_destination_changes_nothing(home: Path) -> None:
    check_destination(home / "deep/out")
    assert names(home) == []


def test_what_a_killed_writer_left_is_removed_and_what_a_live_one_builds_is_not(contents: Contents, home: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid in (ended.pid, os.getppid()):
        (home / f".out.{pid}.partial").mkdir()
    write_bundle(contents, home / "out")
    assert names(home) == [f".out.{os.getppid()}.partial", "out"]


def test_an_artifact_whose_file_is_gone_is_an_error(contents: Contents, home: Path) -> None:
    artifact = contents.candidates[0].artifact
    assert artifact is not None
    artifact.files[0].unlink()
    with pytest.raises(OutputError, match="No such file"):
        write_bundle(contents, home / "out")
    assert names(home) == []


def test_every_artifact_needs_a_tolerance(contents: Contents, home: Path) -> None:
    with pytest.raises(KeyError):
        write_bundle(dataclasses.replace(contents, tolerances={("onnxruntime", Precision.INT8): 1.0}), home / "out")
    assert names(home) == []

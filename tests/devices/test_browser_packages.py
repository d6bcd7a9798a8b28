"""The pinned runtimes for browsers: only the releases that are pinned are served."""

from pathlib import Path

import pytest

from pocketfit.cli.measure import BROWSER_RUNTIMES
from pocketfit.devices.measure.browser import fetch
from pocketfit.devices.measure.browser.packages import Package, digest, files_for, pinned
from pocketfit.devices.measure.browser.place import InBrowser
from pocketfit.errors import OptionError, PocketfitError, RuntimeMissing
from pocketfit.types import Artifact, Precision, Scheme, TensorSpec


def test_the_verb_knows_what_a_browser_runs() -> None:
    assert pinned().runtimes == BROWSER_RUNTIMES


def test_releases_and_files_are_pinned_by_sha512() -> None:
    sums = [sum_ for one in pinned().packages for sum_ in (one.integrity, *one.files.values())]
    assert all(sum_.startswith("sha512-") and len(sum_) == len(digest(b"")) for sum_ in sums)
    assert all(one.version and one.files for one in pinned().packages)


def test_runtimes_that_are_not_there_are_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RuntimeMissing) as told:
        files_for(["onnxruntime"], tmp_path)
    assert "--web-runtimes FOLDER" in str(told.value)
    assert "fetch FOLDER" in str(told.value)
    assert "onnxruntime-web@" in str(told.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    package = next(one for one in pinned().packages if one.runtime == "onnxruntime")
    for path in package.files:
        (tmp_path / package.name / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / package.name / path).write_bytes(b"other")
    with pytest.raises(RuntimeMissing, match=f"is not that of {package.name} {package.version}"):
        files_for(["onnxruntime"], tmp_path)


def test_another_release_is_not_unpacked(tmp_path: Path) -> None:
    package = Package(
        name="x", version="1", license="MIT", runtime="litert", integrity=digest(b"the release"), files={"a": ""}
    )
    with pytest.raises(PocketfitError, match="is pinned"):
        fetch.unpack(b"another", package, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_no_browser_runs_is_refused(tmp_path: Path) -> None:
    spec = TensorSpec("x", (1, 2))
    artifact = Artifact("ncnn", Precision.FLOAT32, Scheme.SYMMETRIC, (tmp_path / "m.param",), spec, spec)
    with pytest.raises(OptionError, match="onnxruntime and litert"):
        InBrowser([artifact], "127.0.0.1", 0, tmp_path)

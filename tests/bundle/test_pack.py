"""A bundle as one file; what every language refuses of one is in tests/apps."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

from pocketfit.bundle import Contents, read_bundle, unpack_bundle, write_bundle
from pocketfit.cli.app import run
from pocketfit.errors import InputError, OutputError


@pytest.fixture
def bundle(contents: Contents, tmp_path: Path) -> Path:
    return write_bundle(contents, tmp_path / "out")


def pack(bundle: Path) -> Path:
    archive = bundle.with_name("bundle.zip")
    assert run(["bundle", "pack", str(bundle), "-o", str(archive)]) == 0
    return archive


def test_what_is_packed_comes_out_again(bundle: Path, tmp_path: Path) -> None:
    assert run(["bundle", "unpack", str(pack(bundle)), "-o", str(tmp_path / "again")]) == 0
    files = {path.relative_to(bundle): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    assert {name: (tmp_path / "again" / name).read_bytes() for name in files} == files


def test_the_same_bundle_gives_the_same_bytes_none_compressed(bundle: Path) -> None:
    first = pack(bundle).read_bytes()
    assert pack(bundle).read_bytes() == first
    with ZipFile(bundle.with_name("bundle.zip")) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {ZIP_STORED}


def test_an_older_bundle_stays_until_the_new_one_is_right(bundle: Path, tmp_path: Path) -> None:
    archive = pack(bundle)
    (bundle / "labels.txt").unlink()
    archive.write_bytes(archive.read_bytes().replace(b"two words", b"two swords"[:9]))
    with pytest.raises(InputError, match=r"no archive of a bundle, or a damaged one"):
        unpack_bundle(archive, bundle)
    assert (bundle / "manifest.json").exists()
    assert not (bundle / "labels.txt").exists()


def test_a_file_that_is_not_the_bundles_is_refused(bundle: Path, tmp_path: Path) -> None:
    archive = pack(bundle)
    with ZipFile(archive, "a") as opened:
        opened.writestr("more.so", b"mine")
    with pytest.raises(InputError, match=r"more\.so, which is not part of the bundle"):
        unpack_bundle(archive, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_files_that_overlap_do_not_fill_the_disk(bundle: Path, tmp_path: Path) -> None:
    """Many entries of the directory that lead to one large file."""
    archive = tmp_path / "bomb.zip"
    with ZipFile(archive, "w") as opened:
        opened.writestr("a.bin", bytes(10_000))
        entry = opened.infolist()[0]
        for number in range(50):
            copy = type(entry)(f"{number}.bin")
            copy.header_offset, copy.file_size, copy.compress_size = 0, entry.file_size, entry.compress_size
            copy.CRC = entry.CRC
            opened.filelist.append(copy)
    with pytest.raises(InputError, match="files that overlap"):
        unpack_bundle(archive, tmp_path / "again")


def test_a_foreign_folder_is_left_alone(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        unpack_bundle(pack(bundle), tmp_path / "mine")


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_what_is_no_archive_is_told(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "bundle.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read|no archive"):
        unpack_bundle(tmp_path / "bundle.zip", tmp_path / "out")


def test_a_packed_bundle_is_read_from_its_folder_alone(bundle: Path) -> None:
    with pytest.raises(InputError, match="is not a bundle"):
        read_bundle(pack(bundle))

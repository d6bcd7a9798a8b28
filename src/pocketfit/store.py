"""Finished stages, each under the hash of what it was made from.

A stage is built in a temporary folder and renamed when it is complete, so that a run killed at any instant leaves
either the whole result or none, and the same run started again takes up where it ended.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pocketfit.errors import OutputError

__all__ = ["CACHE_VARIABLE", "Store", "check_space", "default_cache", "key_of"]

CACHE_VARIABLE = "POCKETFIT_CACHE"
# Less than this is a full disk: no model worth deploying gets through a stage with it.
LEAST_FREE_BYTES = 64 * 2**20

_UNFINISHED = ".unfinished-"
_UNWRITABLE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),  # full, over quota, larger than the file system takes
        *(errno.EACCES, errno.EPERM, errno.EROFS),
        *(errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
    }
)
_ADVICE = (
    "Pocketfit keeps finished stages there: free some space, correct the permissions, or name another folder with "
    f"--cache or {CACHE_VARIABLE}."
)


def default_cache() -> Path:
    """`$POCKETFIT_CACHE`, else the user's cache folder for Pocketfit."""
    import platformdirs

    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("pocketfit", appauthor=False))


class Store:
    """Results of stages in a folder: `root/stage/key/files`.

    Args:
        root: made where it is missing.

    Raises:
        OutputError: the folder cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        with _explained(root):
            root.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(root)

    def find(self, stage: str, key: str) -> Path | None:
        """The folder of a finished stage, or None."""
        folder = self.root / stage / key
        return folder if folder.is_dir() else None

    def get(self, stage: str, key: str, build: Callable[[Path], None]) -> Path:
        """The folder of a finished stage, built first where it is missing.

        Args:
            stage: name of the stage.
            key: from `key_of`.
            build: writes the result into the empty folder it is given; whatever it raises, nothing is stored.

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        found = self.find(stage, key)
        if found is not None:
            return found
        target = self.root / stage / key
        with _explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{os.getpid()}-", dir=target.parent))
        try:
            check_space(building)
            with _explained(target):
                build(building)
                # Another run may have finished the same stage meanwhile: its result is as good.
                with contextlib.suppress(FileExistsError):
                    _rename(building, target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return target

    def size_bytes(self) -> int:
        """Bytes of everything stored."""
        return sum(path.stat().st_size for path in self.root.rglob("*") if path.is_file())

    def clear(self) -> None:
        """Delete everything stored."""
        shutil.rmtree(self.root, ignore_errors=True)


def check_space(folder: Path) -> None:
    """Refuse to go on with a disk that is full.

    Native libraries say little or nothing of a full disk when they fail, and some end the process; so the disk is
    looked at before they run, and after they failed.

    Args:
        folder: on the disk in question; it need not exist yet.

    Raises:
        OutputError: there is next to no space left.
    """
    free_bytes = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    if free_bytes < LEAST_FREE_BYTES:
        raise OutputError(
            f"the disk of {folder} is full: {free_bytes / 1e6:.1f} MB are left, at least "
            f"{LEAST_FREE_BYTES / 1e6:.0f} MB are needed. Free some, or choose another disk with --cache, "
            f"{CACHE_VARIABLE} or TMPDIR; finished stages are kept."
        )


def key_of(parts: Mapping[str, object]) -> str:
    """Hash of what a stage is made from: JSON values and text; the order of the keys does not matter."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _rename(building: Path, target: Path) -> None:
    try:
        building.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FileExistsError(target) from error
        raise


def _remove_abandoned(root: Path) -> None:
    """Delete what runs that are no longer alive left unfinished."""
    for folder in root.glob(f"*/{_UNFINISHED}*"):
        owner = folder.name.removeprefix(_UNFINISHED).split("-")[0]
        if not owner.isdigit() or not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    import psutil  # it ships no types

    return bool(psutil.pid_exists(pid))


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _UNWRITABLE:
            raise OutputError(f"cannot write to {path}: {error.strerror}. {_ADVICE}") from error
        # numpy says how many bytes it could not write, but not why.
        check_space(path)
        raise
    except RuntimeError:
        check_space(path)  # torch does not even say that
        raise

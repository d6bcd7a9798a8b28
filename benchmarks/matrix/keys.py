"""What a stored result depends on: it is taken again only while none of that has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import benchmarks
import pocketfit
from benchmarks.architectures import Architecture
from pocketfit.runtimes import BUILT_IN
from pocketfit.types import Runtime

__all__ = ["cell_key", "prepared_key"]

_OURS = Path(benchmarks.__file__).parent
_SOURCE = Path(pocketfit.__file__).parent
_ROOMS = ("graph", "models", "compress")


def prepared_key(one: Architecture) -> str:
    """Of a network in canonical form with its plans."""
    about = (one.name, repr(one.input_shape), one.stands_for, _versions(("torch", "timm")))
    return _hash(*about, _preparing())


def cell_key(prepared: str, runtime: Runtime) -> str:
    """Of what one runtime made of it; the files of other runtimes do not matter."""
    return _hash(prepared, _converting(runtime.info.name), _versions(("torch", *runtime.info.packages)))


@cache
def _preparing() -> str:
    ours = (_OURS / "matrix" / "prepare.py", _OURS / "architectures" / "randomise.py")
    return _files([*ours, *(path for room in _ROOMS for path in (_SOURCE / room).rglob("*.py"))])


@cache
def _converting(runtime: str) -> str:
    others = tuple(name for name in BUILT_IN if name != runtime)
    files = (_SOURCE / "runtimes").rglob("*.py")
    ours = (_OURS / "matrix" / name for name in ("cell.py", "judge.py", "memory.py"))
    return _files([*ours, *(path for path in files if not path.name.startswith(others))])


def _files(paths: Iterable[Path]) -> str:
    return _hash(*(f"{path.name} {path.read_text()}" for path in sorted(paths)))


def _versions(packages: Iterable[str]) -> str:
    return " ".join(f"{one}=={metadata.version(one)}" for one in packages)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]

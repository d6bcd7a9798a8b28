"""Objects of the user's own code, named as `package.module:name` or `file.py:name`."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from pocketfit.errors import InputError

T = TypeVar("T")

__all__ = ["call", "is_reference", "origin", "resolve"]


def is_reference(spec: str) -> bool:
    """Whether a specification has the form `package.module:name` or `file.py:name`."""
    place, colon, name = spec.rpartition(":")
    return bool(colon and place) and name.isidentifier()


def resolve(spec: str, error: type[InputError]) -> object:
    """Import what a specification names; the current folder is on the import path.

    Args:
        spec: `package.module:name` or `file.py:name`.
        error: raised, with what went wrong and what to do, for anything that cannot be imported.
    """
    place, _, name = spec.rpartition(":")
    module = _import_file(Path(place), error) if place.endswith(".py") else _import_module(place, error)
    try:
        return getattr(module, name)
    except AttributeError:
        public = [candidate for candidate in vars(module) if not candidate.startswith("_")]
        near = difflib.get_close_matches(name, public, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise error(f"{place} has no {name!r}{hint}") from None


def call(spec: str, factory: object, error: type[InputError]) -> object:
    """Call a factory without arguments.

    Args:
        spec: what the user wrote, for the message.
        factory: what `resolve` returned.
        error: raised when it is not callable or fails.
    """
    if not callable(factory):
        raise error(f"{spec} is a {type(factory).__name__}; give a function or class that takes no arguments.")
    return _guarded(factory, f"{spec}() failed", error)


def _import_module(place: str, error: type[InputError]) -> ModuleType:
    _put_on_path(Path.cwd())
    if importlib.util.find_spec(place.split(".")[0]) is None:
        raise error(
            f"There is no module {place!r}. Run from the folder that holds it, install it, or give file.py:name."
        )
    return _guarded(lambda: importlib.import_module(place), f"{place} cannot be imported", error)


def _import_file(path: Path, error: type[InputError]) -> ModuleType:
    if not path.is_file():
        raise error(f"{path} is not a file. Give file.py:name, with the path from {Path.cwd()}.")
    _put_on_path(Path.cwd())
    _put_on_path(path.resolve().parent)
    return _guarded(lambda: _execute(path), f"{path} cannot be imported", error)


def _execute(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # a .py suffix always has a loader
    module = importlib.util.module_from_spec(spec)
    # Classes of the file are looked up here by dataclasses and by torch while the file is still running.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _put_on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _guarded(action: Callable[[], T], what: str, error: type[InputError]) -> T:
    try:
        return action()
    except InputError:
        raise
    # It is the user's code: whatever it raises, leaving the interpreter included, is theirs to see in one line.
    except (Exception, SystemExit) as cause:
        raise error(f"{what}: {type(cause).__name__}: {cause}{origin(cause)}") from cause


def origin(cause: BaseException) -> str:
    """The last line of the user's own code that an error went through, as " (file, line 3)"; "" if there is none."""
    frames = [frame for frame in traceback.extract_tb(cause.__traceback__) if _is_users(frame.filename)]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _is_users(filename: str) -> bool:
    path = Path(filename)
    return path.is_file() and "site-packages" not in path.parts and Path(__file__).parent not in path.parents

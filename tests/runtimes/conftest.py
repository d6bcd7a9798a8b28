import os
from collections.abc import Iterator

import pytest

from pocketfit.runtimes import get_runtime
from pocketfit.testing import Artifacts


class _ByRuntime(dict[str, Artifacts]):
    """A runtime is imported when its artifacts are first asked for."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self.folders = folders

    def __missing__(self, name: str) -> Artifacts:
        self[name] = Artifacts(get_runtime(name), self.folders.mktemp(name))
        return self[name]


@pytest.fixture(scope="session")
def artifacts_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifacts]:
    """By runtime; shared by all files here, because LiteRT's converter takes its time."""
    return _ByRuntime(tmp_path_factory)


@pytest.fixture(scope="module", autouse=True)
def _environment() -> Iterator[None]:
    """Converters, which otherwise run in a process of their own, set variables for themselves."""
    kept = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(kept)

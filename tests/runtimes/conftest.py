import os
from collections.abc import Iterator

import pytest

from pocketfit.runtimes import BUILT_IN, get_runtime
from pocketfit.testing import Artifacts


@pytest.fixture(scope="session")
def artifacts_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifacts]:
    """By runtime; shared by all files here, because LiteRT's converter takes its time."""
    return {name: Artifacts(get_runtime(name), tmp_path_factory.mktemp(name)) for name in BUILT_IN}


@pytest.fixture(scope="module", autouse=True)
def _environment() -> Iterator[None]:
    """Converters, which otherwise run in a process of their own, set variables for themselves."""
    kept = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(kept)

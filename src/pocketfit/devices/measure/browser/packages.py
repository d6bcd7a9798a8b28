"""The runtimes' builds for browsers: which releases, where they lie, and that they are those.

They come from npm and are in no Python package, so they are pinned in `web_runtimes.json` by release and by the sha512
of the package and of every file. Nothing here downloads: see `fetch`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pocketfit.errors import RuntimeMissing

__all__ = ["SHIPPED", "Package", "Pinned", "digest", "files_for", "pinned"]

# Filled before a wheel is built, where it is; never in the repository.
SHIPPED = Path(__file__).parent / "web"


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Package(_Read):
    """A release on npm.

    Args:
        name: there.
        version: that was tried.
        license: of its files.
        runtime: whose artifacts it runs.
        integrity: sha512 of the packed release, as npm writes it.
        files: that a page needs, by their path in the release, each with its own sha512.
    """

    name: str
    version: str
    license: str
    runtime: str
    integrity: str
    files: Mapping[str, str]


class Pinned(_Read):
    """All of `web_runtimes.json`: the registry that the releases come from, and the releases."""

    registry: str
    packages: tuple[Package, ...]

    @property
    def runtimes(self) -> tuple[str, ...]:
        """Whose artifacts a browser runs."""
        return tuple(dict.fromkeys(package.runtime for package in self.packages))


@cache
def pinned() -> Pinned:
    """The releases of this Pocketfit."""
    text = (resources.files("pocketfit.devices.measure.browser") / "web_runtimes.json").read_text("utf-8")
    return Pinned.model_validate_json(text)


def digest(content: bytes) -> str:
    """Sha512 as npm writes it."""
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


def files_for(runtimes: Iterable[str], folder: Path | None = None) -> dict[str, bytes]:
    """The content of every file that pages need for these runtimes, by package and path.

    Args:
        runtimes: names; those that no package is for are passed over.
        folder: with a folder for each package, as npm's `node_modules`; None for what this installation has.

    Raises:
        RuntimeMissing: a file is not there, or not the one that is pinned.
    """
    wanted = set(runtimes)
    root = folder or SHIPPED
    packages = [package for package in pinned().packages if package.runtime in wanted]
    return {
        f"{package.name}/{path}": _read(root, package, path, expected)
        for package in packages
        for path, expected in package.files.items()
    }


def _read(root: Path, package: Package, path: str, expected: str) -> bytes:
    file = root / package.name / path
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RuntimeMissing(f"{file} is not there: {package.name} runs in the browser. {_how_to_get()}") from error
    if digest(content) != expected:
        raise RuntimeMissing(f"{file} is not that of {package.name} {package.version}. {_how_to_get()}")
    return content


def _how_to_get() -> str:
    named = " ".join(f"{package.name}@{package.version}" for package in pinned().packages)
    return (
        f"Pocketfit downloads nothing by itself. Once: `python -m {__package__}.fetch FOLDER`, then give "
        "--web-runtimes FOLDER; or, with npm, `npm install --ignore-scripts --prefix FOLDER "
        f"{named}`, then --web-runtimes FOLDER/node_modules."
    )

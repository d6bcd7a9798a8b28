"""An app's folder: the code of a platform, the bundle, the policy and what the self-test replays."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any

from pocketfit.apps.platforms import Platform, content_folder, sources
from pocketfit.bundle.files import sha256_of
from pocketfit.bundle.manifest import MANIFEST, SIGNATURE
from pocketfit.bundle.place import Kind, check_place, put
from pocketfit.bundle.policies import check_policy_fits
from pocketfit.bundle.read import Bundle
from pocketfit.bundle.vectors import COMMITTED as INTEGRITY
from pocketfit.data.contract.vectors import write_vectors
from pocketfit.errors import OutputError
from pocketfit.matching.vectors import COMMITTED_MATCHING
from pocketfit.policy.frame_vectors import COMMITTED_FRAMES
from pocketfit.policy.json_form import FILE as POLICY
from pocketfit.policy.json_form import write_policy
from pocketfit.policy.spec import Policy
from pocketfit.policy.vectors import COMMITTED as POLICIES

__all__ = ["App", "check_app", "write_app"]

MARKER = "pocketfit-app.json"
APP = Kind("generated app", MARKER, "pocketfit-app")


@dataclass(frozen=True)
class App:
    """What is put into an app's folder.

    Args:
        platform: whose code it is.
        bundle: that the app runs.
        policy: which artifact runs when, in place of the bundle's own; None for that one.

    Raises:
        InputError: a variant of the policy names no artifact of the bundle.
    """

    platform: Platform
    bundle: Bundle
    policy: Policy | None = None

    def __post_init__(self) -> None:
        if self.policy is not None:
            check_policy_fits(self.policy, self.bundle.artifacts)

    def parts(self) -> dict[str, Callable[[Path], Any]]:
        """What each file or folder of the app is written by, by its name."""
        home = content_folder(self.platform)
        names = [MANIFEST, *self.bundle.manifest.files]
        copied = {str(name): source for name, source in sources(self.platform).items()}
        if (self.bundle.path / SIGNATURE).exists():
            names.append(SIGNATURE)
        copied |= {str(home / "bundle" / name): self.bundle.path / name for name in names}
        copied |= {"vectors/policy.jsonl": POLICIES, **{f"vectors/{path.name}": path for path in INTEGRITY}}
        copied |= {"vectors/frames.jsonl": COMMITTED_FRAMES, "vectors/matching.jsonl": COMMITTED_MATCHING}
        parts: dict[str, Callable[[Path], Any]] = {name: partial(copyfile, path) for name, path in copied.items()}
        parts["vectors"] = write_vectors
        if self.policy is not None:
            parts[str(home / POLICY)] = partial(write_policy, self.policy)
        return parts


def check_app(destination: Path) -> None:
    """Find out whether an app may be written there; nothing is changed.

    Raises:
        OutputError: the folder holds a file that is not a generated app's, or that was changed since it was written.
    """
    check_place(destination, APP)
    marker = destination / MARKER
    if not marker.exists():
        return
    for name, sha256 in json.loads(marker.read_bytes())["files"].items():
        path = destination / name
        if path.exists() and sha256_of(path) != sha256:
            raise OutputError(
                f"{path} was changed since the app was generated; nothing was changed there. "
                "Name another folder, or move that file away"
            )


def write_app(app: App, destination: Path) -> Path:
    """Write the folder: all of it or nothing.

    Args:
        app: what it is made of.
        destination: a folder that does not exist, is empty, or holds a generated app as it was written.

    Returns:
        The destination, absolute.

    Raises:
        OutputError: the destination holds something else, or cannot be written.
    """
    check_app(destination)
    return put(destination, APP, lambda folder: _fill(folder, app))


def _fill(folder: Path, app: App) -> None:
    for name, write in app.parts().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    content = {
        "format": APP.format,
        "platform": app.platform,
        "files": {path.relative_to(folder).as_posix(): sha256_of(path) for path in files},
    }
    (folder / MARKER).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")

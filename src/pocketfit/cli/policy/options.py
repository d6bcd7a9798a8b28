"""Arguments that the verbs of `pocketfit policy` share, and the artifacts of a bundle as policies name them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pocketfit.policy import ArtifactRef

__all__ = ["BundlePath", "PolicyPath", "artifacts_of"]

PolicyPath = Annotated[Path, typer.Argument(metavar="POLICY", help="The policy.json.")]
BundlePath = Annotated[Path | None, typer.Option("--bundle", help="Folder that `pocketfit fit -o` wrote.")]


def artifacts_of(bundle: Path, folders: Iterable[str] = ()) -> list[ArtifactRef]:
    """The artifacts of a bundle, of its variants and of bundles in other folders below it, the chosen ones first.

    Args:
        bundle: the folder that ships the policy.
        folders: relative to it.

    Raises:
        InputError: one of them is not a bundle.
        VerificationFailed: a file is missing or not the one that was written.
    """
    from pocketfit.bundle import read_bundle

    found = list(read_bundle(bundle).artifacts)
    known = {artifact.bundle for artifact in found}
    for folder in dict.fromkeys(name for name in folders if name not in known):
        found += [replace(artifact, bundle=folder) for artifact in read_bundle(bundle / folder).artifacts]
    return found

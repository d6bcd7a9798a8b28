"""Read a bundle, trusting nothing in it before it is checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pocketfit.bundle.files import sha256_of
from pocketfit.bundle.golden import read_array
from pocketfit.bundle.manifest import FORMAT, MANIFEST, SCHEMA_VERSION, ArtifactEntry, FileEntry, Manifest
from pocketfit.bundle.policies import check_policy_fits
from pocketfit.bundle.signature import Trust
from pocketfit.contract import Contract, contract_from_json
from pocketfit.errors import InputError, VerificationFailed
from pocketfit.matching import Gallery, Thresholds, thresholds_from_json
from pocketfit.policy import ArtifactRef, Policy, read_policy
from pocketfit.types import Artifact, TensorSpec

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Bundle", "read_bundle"]

# The first schema whose preprocess.json is a contract.
CONTRACTS_SINCE = 2


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are those its manifest lists.

    Args:
        path: its folder.
        manifest: what is in it; of several variants, of the first.
        others: the variants behind the first, by name: bundles in folders below.
    """

    path: Path
    manifest: Manifest
    others: Mapping[str, Bundle] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its own variant; empty where there is only one."""
        return next((name for name, folder in self.manifest.variants.items() if folder == "."), "")

    @property
    def artifacts(self) -> tuple[ArtifactRef, ...]:
        """All that a policy may choose among, of every variant, the chosen ones first."""
        folders = {self.manifest.variants[name]: bundle for name, bundle in self.others.items()}
        return tuple(
            ArtifactRef(entry.runtime, entry.precision, folder)
            for folder, bundle in {".": self, **folders}.items()
            for entry in sorted(bundle.manifest.artifacts, key=lambda entry: not entry.chosen)
        )

    def policy(self) -> Policy | None:
        """Which artifact runs when; None where the bundle does not say.

        Raises:
            InputError: it is no policy, or one of its variants names no artifact of the bundle.
        """
        if self.manifest.policy is None:
            return None
        policy = read_policy(self.path / self.manifest.policy)
        check_policy_fits(policy, self.artifacts)
        return policy

    def thresholds(self) -> Thresholds | None:
        """From which score on its artifacts accept; None where the bundle does not say.

        Raises:
            InputError: they are not valid, or one is of an artifact that the bundle does not have.
        """
        if self.manifest.thresholds is None:
            return None
        thresholds = thresholds_from_json((self.path / self.manifest.thresholds).read_bytes())
        there = {(entry.runtime, entry.precision) for entry in self.manifest.artifacts}
        for one in thresholds.artifacts:
            if (one.runtime, one.precision) not in there:
                raise InputError(
                    f"{self.manifest.thresholds} has a threshold of {one.runtime} {one.precision}, of which "
                    f"{self.path} has nothing. Run `pocketfit bundle threshold` again"
                )
        return thresholds

    def gallery(self, entry: ArtifactEntry) -> Gallery:
        """An empty gallery for the embeddings of an artifact, with its threshold.

        Raises:
            InputError: the bundle has no threshold of it, or one that is not of cosines.
        """
        thresholds = self.thresholds()
        if thresholds is None or thresholds.score != "cosine":
            raise InputError(f"{self.path} has no threshold of cosines. `pocketfit bundle threshold` puts one into it")
        own = thresholds.of(entry.runtime, entry.precision)
        model = f"{self.manifest.model.fingerprint} {entry.runtime} {entry.precision}"
        return Gallery(model, thresholds.length, own.threshold)

    def artifact(self, entry: ArtifactEntry) -> Artifact:
        """The artifact as a runtime opens it.

        Raises:
            InputError: it is encrypted.
        """
        if self.manifest.encryption is not None:
            raise InputError(
                f"the models in {self.path} are encrypted, and no runtime opens them so. `pocketfit verify` takes "
                "--key-file; for all else, give the bundle that was encrypted"
            )
        return Artifact(
            runtime=entry.runtime,
            precision=entry.precision,
            scheme=entry.scheme,
            files=tuple(self.path / name for name in entry.files),
            input=TensorSpec(**entry.input.model_dump()),
            output=TensorSpec(**entry.output.model_dump()),
            more_outputs=tuple(TensorSpec(**output.model_dump()) for output in entry.more_outputs),
            more_inputs=tuple(TensorSpec(**given.model_dump()) for given in entry.more_inputs),
            notes=entry.notes,
            options=entry.options,
        )

    def contract(self) -> Contract | None:
        """What an app does to images and outputs; None where the data is fed as it is.

        Raises:
            InputError: it was written by a Pocketfit before contracts, or is not valid.
        """
        if self.manifest.preprocess is None:
            return None
        if self.manifest.schema_version < CONTRACTS_SINCE:
            raise InputError(
                f"{self.path} was written by Pocketfit {self.manifest.versions.get('pocketfit', 'of old')}, whose "
                f"{self.manifest.preprocess} has another form. Write the bundle again with this one"
            )
        return contract_from_json((self.path / self.manifest.preprocess).read_text(encoding="utf-8"))

    def golden_inputs(self) -> np.ndarray:
        """The golden inputs, float32 n×C×H×W."""
        return read_array(self.manifest.golden.inputs, self.path)

    def golden_outputs(self, entry: ArtifactEntry) -> np.ndarray:
        """The outputs that artifact must reproduce, float32 n×…."""
        return read_array(self.manifest.golden.expected[entry.golden], self.path)


def read_bundle(path: Path, trust: Trust | None = None) -> Bundle:
    """Read the manifest and check every file it lists; files it does not list are ignored.

    Args:
        path: the bundle's folder.
        trust: what has to be true of it besides; None for nothing.

    Raises:
        InputError: no bundle, an invalid manifest, one of a newer schema, or one that names files outside the bundle.
        VerificationFailed: a file is missing or not the one that was written, or what is demanded is not true.
        RuntimeMissing: a signature is demanded, and the package cryptography is not installed.
    """
    trust = Trust() if trust is None else trust
    content = _load(path)
    trust.check_signature(path, content)
    manifest = _parse(path, content)
    trust.check_release(path, manifest)
    for name, entry in manifest.files.items():
        _check_file(path, name, entry)
    folders = {name: folder for name, folder in manifest.variants.items() if folder != "."}
    return Bundle(path, manifest, {name: _read_variant(path, manifest, folder) for name, folder in folders.items()})


def _read_variant(path: Path, manifest: Manifest, folder: str) -> Bundle:
    """A variant whose files were checked already, as those of the bundle that it is in."""
    variant = _parse(path / folder, _load(path / folder))
    if variant.variants:
        raise InputError(f"{path / folder} has variants of its own; join the bundles it was made of instead")
    for name, entry in variant.files.items():
        if manifest.files.get(f"{folder}/{name}") != entry:
            raise VerificationFailed(
                f"{folder}/{name} is another file to {path / MANIFEST} than to the manifest beside it. "
                "Join the bundles again"
            )
    return Bundle(path / folder, variant)


def _load(path: Path) -> bytes:
    try:
        return (path / MANIFEST).read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} is not a bundle: cannot read its {MANIFEST} ({error.strerror}). "
            "Name the folder that `pocketfit fit -o` wrote"
        ) from error


def _parse(path: Path, content: bytes) -> Manifest:
    data = _decode(path, content)
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise InputError(
            f"{path} has manifest schema {version}; this Pocketfit reads up to {SCHEMA_VERSION}. "
            "Install a newer Pocketfit"
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise InputError(
            f"{path / MANIFEST} is not valid at {where}: {first['msg']}. Write the bundle again"
        ) from error


def _decode(path: Path, content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path / MANIFEST} is not JSON ({error}); write the bundle again") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f"{path / MANIFEST} belongs to another program: a bundle's says format {FORMAT!r}")
    return data


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that is there twice would be one thing to one reader and another to the next."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _check_file(root: Path, name: str, entry: FileEntry) -> None:
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{name} is a link that leads out of the bundle {root}; such a bundle is not read")
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise VerificationFailed(f"{name} cannot be read ({error.strerror}); write the bundle {root} again") from error
    if digest != entry.sha256:
        raise VerificationFailed(
            f"{name} is not the file that was written: it has {path.stat().st_size} bytes and sha256 {digest[:12]}…, "
            f"the manifest says {entry.bytes} bytes and {entry.sha256[:12]}…. Write the bundle {root} again"
        )

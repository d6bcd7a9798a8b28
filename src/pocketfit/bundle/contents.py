"""What a bundle is made of, and its files in their places."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketfit.bundle.files import copy, list_files, write_text
from pocketfit.bundle.golden import golden_name, write_golden
from pocketfit.bundle.manifest import (
    FORMAT,
    MANIFEST,
    SCHEMA_VERSION,
    ArtifactEntry,
    EvidenceEntry,
    Manifest,
    ModelEntry,
    Tensor,
    TierEntry,
)
from pocketfit.bundle.policies import check_policy_fits
from pocketfit.contract import Contract, contract_to_json
from pocketfit.data.contract.own_vectors import own_vectors
from pocketfit.data.preprocess import input_size
from pocketfit.policy import ArtifactRef, Policy, policy_to_json
from pocketfit.policy.json_form import FILE as POLICY
from pocketfit.types import Artifact, Candidate, FieldDevice, Precision, TensorSpec

__all__ = ["Contents", "fill"]


@dataclass(frozen=True)
class Contents:
    """What goes into a bundle.

    Args:
        model: short name.
        source: what the user wrote.
        fingerprint: of the float model.
        input: the float model's first input, images NCHW, with batch 1.
        output: its first output.
        more_outputs: those behind it.
        more_inputs: those behind the first.
        candidates: in the manifest's order; those without an artifact are left out.
        chosen: runtime and precision of the artifacts to ship.
        plans: the plan of each precision as JSON text.
        golden_inputs: float32 n×C×H×W, preprocessed; several inputs of a sample as one row.
        golden_outputs: the simulation's n×… by runtime and precision; equal ones are stored once.
        tolerances: by runtime and precision, the largest absolute difference from the golden outputs that is allowed.
        preprocess: what to do with images, and with the outputs; None when the data is fed as it is.
        classes: class names by index; empty when unknown.
        versions: of Pocketfit, Python and the packages that took part.
        report_html: None for none.
        policy: which artifact runs when; None for none.
        tiers: what suits which phone, predicted.
    """

    model: str
    source: str
    fingerprint: str
    input: TensorSpec
    output: TensorSpec
    candidates: tuple[Candidate, ...]
    chosen: frozenset[tuple[str, Precision]]
    plans: Mapping[Precision, str]
    golden_inputs: np.ndarray
    golden_outputs: Mapping[tuple[str, Precision], np.ndarray]
    tolerances: Mapping[tuple[str, Precision], float]
    preprocess: Contract | None = None
    classes: tuple[str, ...] = ()
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    report_html: str | None = None
    more_outputs: tuple[TensorSpec, ...] = ()
    more_inputs: tuple[TensorSpec, ...] = ()
    policy: Policy | None = None
    tiers: tuple[FieldDevice, ...] = ()


def fill(root: Path, contents: Contents) -> Manifest:
    """Write every file of the bundle into the empty folder `root`, the manifest last.

    Raises:
        InputError: a variant of the policy names no artifact of the bundle.
    """
    made = [(candidate, candidate.artifact) for candidate in contents.candidates if candidate.artifact is not None]
    names = _golden_names(contents, made)
    outputs = {names[kind]: values for kind, values in contents.golden_outputs.items() if kind in names}
    golden = write_golden(contents.golden_inputs, outputs, root)
    contract = contents.preprocess
    preprocess = write_text(root, "preprocess.json", None if contract is None else contract_to_json(contract))
    vectors = write_text(root, "preprocess_vectors.json", None if contract is None else _vectors(contents, contract))
    labels = write_text(root, "labels.txt", _labels_text(contents.classes))
    plans = {precision: _write_plan(root, precision, text) for precision, text in contents.plans.items()}
    artifacts = tuple(_copy_artifact(root, contents, names, candidate, artifact) for candidate, artifact in made)
    report = write_text(root, "report.html", contents.report_html)
    policy = _write_policy(root, contents, artifacts)
    manifest = Manifest(
        format=FORMAT,
        schema_version=SCHEMA_VERSION,
        model=ModelEntry(name=contents.model, source=contents.source, fingerprint=contents.fingerprint),
        input=_tensor(contents.input),
        output=_tensor(contents.output),
        more_outputs=tuple(map(_tensor, contents.more_outputs)),
        more_inputs=tuple(map(_tensor, contents.more_inputs)),
        preprocess=preprocess,
        preprocess_vectors=vectors,
        labels=labels,
        plans=plans,
        golden=golden,
        artifacts=artifacts,
        report=report,
        versions=contents.versions,
        policy=policy,
        tiers=tuple(TierEntry(**dataclasses.asdict(device)) for device in contents.tiers),
        files=list_files(root),
    )
    write_text(root, MANIFEST, manifest.to_json())
    return manifest


def _vectors(contents: Contents, contract: Contract) -> str:
    size, shape = input_size(contents.input.shape[1:], contract.layout), contents.output.shape
    return own_vectors(contract, size, shape[1] if len(shape) == 2 else None)


def _labels_text(classes: tuple[str, ...]) -> str | None:
    """One class a line, so a line break inside a name becomes a space."""
    return "".join(f"{' '.join(name.splitlines())}\n" for name in classes) or None


def _write_plan(root: Path, precision: Precision, text: str) -> str:
    name = f"plans/{precision}.json"
    write_text(root, name, text)
    return name


def _write_policy(root: Path, contents: Contents, artifacts: Sequence[ArtifactEntry]) -> str | None:
    if contents.policy is None:
        return None
    check_policy_fits(contents.policy, [ArtifactRef(one.runtime, one.precision) for one in artifacts])
    return write_text(root, POLICY, policy_to_json(contents.policy))


def _golden_names(contents: Contents, made: Sequence[tuple[Candidate, Artifact]]) -> dict[tuple[str, Precision], str]:
    """Which golden set each artifact must reproduce: one a scheme, and one of its own where its plan had to differ."""
    names: dict[tuple[str, Precision], str] = {}
    known: dict[str, np.ndarray] = {}
    for candidate, artifact in made:
        kind = (candidate.runtime, candidate.precision)
        name, values = golden_name(candidate.precision, artifact.scheme), contents.golden_outputs[kind]
        if not np.array_equal(known.setdefault(name, values), values, equal_nan=True):
            name = f"{name}-{candidate.runtime}"
        names[kind] = name
    return names


def _copy_artifact(
    root: Path,
    contents: Contents,
    golden: Mapping[tuple[str, Precision], str],
    candidate: Candidate,
    artifact: Artifact,
) -> ArtifactEntry:
    kind = (candidate.runtime, candidate.precision)
    folder = f"{candidate.runtime}/{candidate.precision}"
    for path in artifact.files:
        copy(path, root / folder / path.name)
    return ArtifactEntry(
        runtime=candidate.runtime,
        precision=candidate.precision,
        scheme=artifact.scheme,
        files=tuple(f"{folder}/{path.name}" for path in artifact.files),
        input=_tensor(artifact.input),
        output=_tensor(artifact.output),
        more_outputs=tuple(map(_tensor, artifact.more_outputs)),
        more_inputs=tuple(map(_tensor, artifact.more_inputs)),
        chosen=kind in contents.chosen,
        golden=golden[kind],
        tolerance=contents.tolerances[kind],
        evidence=EvidenceEntry(**dataclasses.asdict(candidate.evidence)) if candidate.evidence else None,
        notes=(*artifact.notes, *candidate.notes, *_not_run(candidate)),
        options=artifact.options,
    )


def _not_run(candidate: Candidate) -> tuple[str, ...]:
    if candidate.not_run is None:
        return ()
    return (f"converted, not run where this was written: {candidate.not_run.reason}",)


def _tensor(spec: TensorSpec) -> Tensor:
    return Tensor(**dataclasses.asdict(spec))

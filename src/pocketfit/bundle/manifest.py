"""The schema of `manifest.json`, documented for people in docs/bundle.md.

It is public and versioned, so it is spelled out here instead of following the dataclasses of `pocketfit.types`: those
may change with any release, this only together with `SCHEMA_VERSION`. Sizes are in bytes, times in milliseconds,
accuracies and drops in the unit of their metric.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pocketfit.types import Precision, Scheme

__all__ = [
    "FORMAT",
    "MANIFEST",
    "SCHEMA_VERSION",
    "SIGNATURE",
    "AccuracyEntry",
    "ArtifactEntry",
    "EncryptionEntry",
    "EvidenceEntry",
    "FileEntry",
    "Golden",
    "GoldenArray",
    "KernelEntry",
    "LatencyEntry",
    "Manifest",
    "ModelEntry",
    "ParityEntry",
    "Tensor",
    "TierEntry",
    "inside",
]

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
FORMAT: Final = "pocketfit-bundle"
SCHEMA_VERSION: Final = 4


def inside(name: str) -> str:
    """Refuse a file name that could lead out of the bundle on any system.

    Raises:
        ValueError: it could.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or any(sign in name for sign in "\\:\0\n"):
        raise ValueError(f"{name!r} is not a relative path inside the bundle, with / between its parts")
    return str(PurePosixPath(name))


def _here_or_inside(folder: str) -> str:
    return folder if folder == "." else inside(folder)


def _finite(value: float | None) -> float | None:
    """JSON knows no infinity: null stands for it."""
    return value if value is None or math.isfinite(value) else None


RelativePath = Annotated[str, AfterValidator(inside)]
Folder = Annotated[str, AfterValidator(_here_or_inside)]
# Part of a folder's name, which some file systems hold in one case alone.
VariantName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$")]
FiniteOrNull = Annotated[float | None, BeforeValidator(_finite)]
Count = Annotated[int, Field(ge=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tensor(_Entry):
    """A graph input or output with batch 1; `dtype` as numpy spells it."""

    name: str
    shape: tuple[Count, ...]
    dtype: str


class ModelEntry(_Entry):
    """Where everything came from; `fingerprint` is the sha256 of the float model's structure and weights."""

    name: str
    source: str
    fingerprint: str


class FileEntry(_Entry):
    """What a file must be."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: Count


class GoldenArray(_Entry):
    """A raw array without a header; the first number of `shape` counts the samples."""

    file: RelativePath
    shape: tuple[Count, ...]


class Golden(_Entry):
    """Inputs, and the outputs that the plan's simulation gives for them, by name of the golden set."""

    dtype: Literal["float32"]
    byte_order: Literal["little"]
    samples: Count
    inputs: GoldenArray
    expected: Mapping[str, GoldenArray]


class ParityEntry(_Entry):
    """See `pocketfit.types.Parity`; null for an infinite figure."""

    max_error: FiniteOrNull
    mean_error: FiniteOrNull
    cosine: float
    sqnr_db: FiniteOrNull
    agreement: float
    samples: Count


class AccuracyEntry(_Entry):
    """See `pocketfit.types.Accuracy`."""

    metric: str
    unit: str
    value: float
    float_value: float
    drop_points: float
    drop_low: float
    drop_high: float
    agreement: float | None
    samples: Count

    @model_validator(mode="before")
    @classmethod
    def _read_what_was_in_per_cent(cls, data: Any) -> Any:
        """Up to version 2 there was only top-1."""
        if not isinstance(data, dict) or "percent" not in data:
            return data
        renamed = {"percent": "value", "float_percent": "float_value"}
        return {"unit": "%"} | {renamed.get(name, name): value for name, value in data.items()}


class LatencyEntry(_Entry):
    """See `pocketfit.types.Latency`."""

    threads: Count
    median_ms: float
    p90_ms: float
    runs: Count
    where: str


class KernelEntry(_Entry):
    """See `pocketfit.types.KernelUse`."""

    int8: Count
    total: Count
    how: str


class EvidenceEntry(_Entry):
    """See `pocketfit.types.Evidence`."""

    parity: ParityEntry
    accuracy: AccuracyEntry | None
    latencies: tuple[LatencyEntry, ...]
    peak_memory_bytes: Count
    kernels: KernelEntry
    size_bytes: Count


class ArtifactEntry(_Entry):
    """The files of one runtime in one precision, the golden set they must reproduce and how closely.

    A name in `files` may be that of a folder, which is shipped as one thing; everything in it has its own entry in the
    manifest's `files`.
    """

    runtime: str
    precision: Precision
    scheme: Scheme
    files: Annotated[tuple[RelativePath, ...], Field(min_length=1)]
    input: Tensor
    output: Tensor
    chosen: bool
    golden: str
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    evidence: EvidenceEntry | None
    notes: tuple[str, ...]
    options: Mapping[str, str] = Field(default_factory=dict)
    more_outputs: tuple[Tensor, ...] = ()
    more_inputs: tuple[Tensor, ...] = ()

    @property
    def title(self) -> str:
        """Runtime and precision, as tables show them."""
        return f"{self.runtime} {self.precision}"


class TierEntry(_Entry):
    """See `pocketfit.types.FieldDevice`."""

    tier: str
    device: str
    runtime: str | None
    precision: Precision | None
    processor: str
    threads: Count
    ms: float | None
    low_ms: float | None
    high_ms: float | None
    memory_bytes: Count | None
    accuracy: float | None
    drop_points: float | None
    size_bytes: Count | None


class EncryptionEntry(_Entry):
    """Files that lie encrypted in the bundle, and the bundle's `id`, to which each of them is bound."""

    algorithm: Literal["AES-256-GCM"]
    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    files: tuple[RelativePath, ...]


class Manifest(_Entry):
    """All of a bundle; `files` lists every file but the manifest itself and its signature.

    Up to version 3 there were no `release`, `policy`, `thresholds`, `variants`, `tiers` and `encryption`. In version 1
    `preprocess` was written in another form, and there were no vectors of it. In versions 1 and 2 an accuracy had
    `percent` and `float_percent` instead of `unit`, `value` and `float_value`.
    """

    format: Literal["pocketfit-bundle"]
    schema_version: Literal[1, 2, 3, 4]
    model: ModelEntry
    input: Tensor
    output: Tensor
    preprocess: RelativePath | None
    preprocess_vectors: RelativePath | None = None
    labels: RelativePath | None
    plans: Mapping[Precision, RelativePath]
    golden: Golden
    artifacts: tuple[ArtifactEntry, ...]
    report: RelativePath | None
    versions: Mapping[str, str]
    more_outputs: tuple[Tensor, ...] = ()
    more_inputs: tuple[Tensor, ...] = ()
    release: Count = 0
    policy: RelativePath | None = None
    thresholds: RelativePath | None = None
    variants: Mapping[VariantName, Folder] = Field(default_factory=dict)
    tiers: tuple[TierEntry, ...] = ()
    encryption: EncryptionEntry | None = None
    files: Mapping[RelativePath, FileEntry]

    @model_validator(mode="after")
    def _refer_to_what_is_there(self) -> Self:
        folders = {str(folder) for name in self.files for folder in PurePosixPath(name).parents}
        for name in self._referred():
            if name not in self.files:
                raise ValueError(f"{name!r} is referred to but has no entry in files")
        for name in (name for artifact in self.artifacts for name in artifact.files):
            if name not in self.files and name not in folders:
                raise ValueError(f"{name!r} is referred to but has no entry in files, nor is it a folder of any")
        for artifact in self.artifacts:
            if artifact.golden not in self.golden.expected:
                raise ValueError(f"{artifact.title} refers to the golden set {artifact.golden!r}, which is not there")
        return self

    @model_validator(mode="after")
    def _hold_its_own_variant(self) -> Self:
        if self.variants and list(self.variants.values()).count(".") != 1:
            raise ValueError("of its variants exactly one has to be the bundle itself, in the folder '.'")
        return self

    def _referred(self) -> Iterator[str]:
        own = (self.preprocess, self.preprocess_vectors, self.labels, self.report, self.policy, self.thresholds)
        yield from (name for name in own if name is not None)
        yield from (f"{folder}/{MANIFEST}" for folder in self.variants.values() if folder != ".")
        yield from () if self.encryption is None else self.encryption.files
        yield from self.plans.values()
        yield from (array.file for array in (self.golden.inputs, *self.golden.expected.values()))

    def to_json(self) -> str:
        """The same text for the same content, whatever the order it was put together in."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, allow_nan=False) + "\n"

"""`thresholds.json` of a bundle: from which score on each of its artifacts accepts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from pocketfit.errors import InputError
from pocketfit.types import Precision

__all__ = ["FILE", "ArtifactThreshold", "Thresholds", "thresholds_from_json", "thresholds_to_json"]

FILE = "thresholds.json"

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class ArtifactThreshold:
    """One artifact's operating point; `pocketfit.matching.OperatingPoint` says what its figures are."""

    runtime: str
    precision: Precision
    threshold: Annotated[float, Field(allow_inf_nan=False)]
    far: Share
    far_low: Share
    far_high: Share
    tar: Share
    tar_low: Share
    tar_high: Share

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012


@dataclass(frozen=True)
class Thresholds:
    """What is accepted: a score above the threshold of the artifact that gave it.

    Args:
        version: of this file.
        score: "cosine" of two embeddings, or the "probability" of one class.
        length: of an embedding; number of classes.
        live_class: whose probability the score is; None for cosines.
        wanted: false-accept rate that the thresholds were chosen for.
        source: of the samples, as the user wrote it.
        samples: how many there were.
        genuine: pairs of the same person, or live samples.
        impostors: the other ones.
        artifacts: of the bundle; those that could not be run are missing.
    """

    score: Literal["cosine", "probability"]
    length: Count
    wanted: Annotated[float, Field(gt=0, lt=1)]
    source: str
    samples: Count
    genuine: Count
    impostors: Count
    artifacts: Annotated[tuple[ArtifactThreshold, ...], Field(min_length=1)]
    live_class: Annotated[int, Field(ge=0)] | None = None
    version: Literal[1] = 1

    # Read by pydantic: a misspelt key is an error, not a default.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def of(self, runtime: str, precision: Precision) -> ArtifactThreshold:
        """The operating point of an artifact.

        Raises:
            InputError: none was measured of it.
        """
        for one in self.artifacts:
            if (one.runtime, one.precision) == (runtime, precision):
                return one
        known = ", ".join(f"{one.runtime} {one.precision}" for one in self.artifacts)
        raise InputError(
            f"there is no threshold of {runtime} {precision}; there are those of {known}. "
            "Run `pocketfit bundle threshold` where that runtime runs"
        )


def thresholds_to_json(thresholds: Thresholds) -> str:
    """As a JSON object; a double that is read back is the one that was written."""
    return _adapter().dump_json(thresholds, indent=2).decode() + "\n"


def thresholds_from_json(text: str | bytes) -> Thresholds:
    """Read what `thresholds_to_json` wrote.

    Raises:
        InputError: it is not JSON, has an unknown key or version, or a value that is not allowed.
    """
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top"
        raise InputError(
            f"the thresholds are not valid at {where}: {first['msg']}. `pocketfit bundle threshold` writes them"
        ) from error


@cache
def _adapter() -> TypeAdapter[Thresholds]:
    return TypeAdapter(Thresholds)

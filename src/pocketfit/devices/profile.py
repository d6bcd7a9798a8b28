"""What is known of a phone: one readable JSON file each, shipped or the user's own.

Hardware comes from makers' published figures and the tables' own descriptions; speeds are fitted by
`python -m benchmarks.latency.write_profiles` to tables of measured latencies that are not part of the project.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pocketfit.devices.predict.kinds import kinds_of
from pocketfit.errors import DataError, OptionError, OutputError

__all__ = [
    "IN_ORDER",
    "SCHEMA_VERSION",
    "Cluster",
    "Cooling",
    "Measurement",
    "Profile",
    "Target",
    "all_profiles",
    "find_profile",
    "read_profile",
    "write_profile",
]

SCHEMA_VERSION: Final = 1
SUFFIX = ".json"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cluster(_Strict):
    """Cores of one sort, such as four Cortex-A76 at 2.4 GHz."""

    core: str
    count: Annotated[int, Field(gt=0)]
    ghz: Positive


class Cooling(_Strict):
    """How a device sheds heat, as one thermal mass with one resistance to the air.

    Attributes:
        resistance_c_per_w: degrees that it gets warmer for each watt that it draws all the time.
        tau_s: seconds after which 63 % of a change of temperature has happened.
        limit_c: temperature at which clocks are lowered: of a phone's skin, of a board's chip.
        source: where these are from.
    """

    resistance_c_per_w: Positive
    tau_s: Positive
    limit_c: Positive
    source: str


class Measurement(_Strict):
    """A latency that a user measured, with what the model asks for by kind of work."""

    model: str
    ms: Positive
    amounts: dict[str, NotNegative]


class Target(_Strict):
    """One way to run models on a phone, and how fast it is.

    Attributes:
        runtime: as `pocketfit runtimes` spells it, or "qnn".
        precision: of weights and arithmetic.
        processor: what computes.
        threads: on the CPU; 1 elsewhere.
        us: microseconds a unit of work, by the kinds that the processor has.
        doubt: standard deviations of the logarithms of these, of all together, by group of kinds and by kind.
        rare: kinds of work that hardly any of the measured networks has: their speeds are guesses.
        spread: standard deviation of what a model takes beyond its kinds of work, in logarithms.
        measured: latencies that the speeds were fitted to; 0 where they follow from the hardware alone.
        measurements: the user's own, which adapt the speeds.
        source: where the measurements come from.
    """

    runtime: str
    precision: Literal["float32", "float16", "int8", "int8x16"]
    processor: Literal["cpu", "gpu", "npu"]
    threads: Annotated[int, Field(gt=0)] = 1
    us: dict[str, Positive]
    doubt: tuple[NotNegative, NotNegative, NotNegative]
    rare: tuple[str, ...] = ()
    spread: Positive
    measured: Annotated[int, Field(ge=0)]
    measurements: tuple[Measurement, ...] = ()
    source: str

    @model_validator(mode="after")
    def _every_kind(self) -> Self:
        names = [kind.name for kind in kinds_of(self.processor)]
        if set(self.us) != set(names):
            raise ValueError(f"us has to have exactly the kinds {', '.join(names)}")
        unknown = sorted({name for one in self.measurements for name in one.amounts} - set(names))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no kind of work; there are {', '.join(names)}")
        return self

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What tells it from the other targets of a phone."""
        return (self.runtime, self.precision, self.processor, self.threads)

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' if self.threads > 1 else ''}" if self.processor == "cpu" else ""
        return f"{self.runtime} {self.precision} on the {self.processor.upper()}{threads}"


class Profile(_Strict):
    """A phone or board.

    Attributes:
        schema_version: of this file.
        name: what users write behind `--device`.
        title: as its maker writes it.
        kind: what it is.
        soc: the chip.
        tier: how it stands among phones in use.
        clusters: of the CPU, the fastest first.
        features: of its instruction set that kernels make use of.
        bandwidth_gbps: of the memory, at its peak; gigabytes a second.
        memory_gb: RAM of the smallest model sold; None where it varies or is not known.
        gpu: as its maker writes it; empty where there is none of use.
        npu: likewise.
        system: what it was sold with, such as "Android 11".
        battery_mah: of the full battery, as its maker gives it; None where that is not known.
        cooling: measured on the device; None where it was not, and is assumed by tier.
        sources: of all of this.
        targets: ways to run models.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: Name
    title: str
    kind: Literal["phone", "tablet", "laptop", "board", "car"]
    soc: str
    tier: Literal["high", "mid", "low"]
    clusters: Annotated[tuple[Cluster, ...], Field(min_length=1)]
    features: tuple[Literal["neon", "fp16", "dotprod", "i8mm", "sve2", "sme"], ...]
    bandwidth_gbps: Positive
    memory_gb: Positive | None
    gpu: str
    npu: str
    system: str
    battery_mah: Positive | None = None
    cooling: Cooling | None = None
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    targets: tuple[Target, ...]

    @model_validator(mode="after")
    def _targets_differ(self) -> Self:
        keys = [target.key for target in self.targets]
        if len(set(keys)) != len(keys):
            raise ValueError("two targets have the same runtime, precision, processor and threads")
        return self

    @property
    def big_cores(self) -> int:
        """Cores that are worth a thread: those of clusters at least six tenths as fast as the fastest."""
        fastest = max(cluster.ghz for cluster in self.clusters)
        big = [one for one in self.clusters if one.ghz >= 0.6 * fastest and not one.core.startswith(IN_ORDER)]
        return sum(one.count for one in big) or sum(one.count for one in self.clusters)


# ARM's small cores compute in order: a thread on one of them holds up those on the big ones.
IN_ORDER = ("Cortex-A53", "Cortex-A55", "Cortex-A510", "Cortex-A520")


@cache
def all_profiles() -> tuple[Profile, ...]:
    """Every profile that is shipped, by name."""
    return tuple(sorted(map(Profile.model_validate_json, _shipped()), key=lambda one: one.name))


def find_profile(device: str) -> Profile:
    """A shipped profile by its name, or one in a file.

    Args:
        device: a name, or the path of a JSON file.

    Raises:
        OptionError: it is neither.
        DataError: the file is no profile.
    """
    if device.endswith(SUFFIX) or Path(device).is_file():
        return read_profile(Path(device))
    names = {profile.name: profile for profile in all_profiles()}
    if device not in names:
        near = [name for name in names if device.lower() in name] or list(names)
        raise OptionError(
            f"--device {device!r} is no device. Give a name that `pocketfit devices` lists, or a profile's .json file. "
            f"There are: {', '.join(near)}."
        )
    return names[device]


def read_profile(path: Path) -> Profile:
    """Read a profile.

    Raises:
        DataError: there is no such file, or it is no profile.
    """
    try:
        return Profile.model_validate_json(path.read_text())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Give a profile's file.") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is no device profile: {_first_fault(error)}. `pocketfit devices calibrate` writes one."
        ) from error


def write_profile(profile: Profile, path: Path) -> None:
    """Write a profile as people read it.

    Raises:
        OutputError: it cannot be written there.
    """
    try:
        path.write_text(json.dumps(profile.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}. Give a file in a folder that exists."
        ) from error


def _shipped() -> Iterator[str]:
    folder = resources.files("pocketfit.devices") / "profiles"
    return (file.read_text() for file in folder.iterdir() if file.name.endswith(SUFFIX))


def _first_fault(error: ValidationError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not text"
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"

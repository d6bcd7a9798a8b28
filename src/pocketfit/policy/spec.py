"""What a policy says: which variants there are, and which one runs when, how often.

docs/policy.md defines it for people who write an engine in another language.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from pocketfit.errors import InputError
from pocketfit.policy.condition import Condition
from pocketfit.policy.sensors import RANGES, STRICT, Sensor
from pocketfit.types import Precision

__all__ = ["DEFAULT", "VERSION", "ArtifactRef", "Choice", "Handover", "Pending", "Policy", "Rule", "Run", "Variant"]

VERSION: Final = 1
# What stands in place of a rule's name where no rule holds.
DEFAULT = "default"
# A bit each in a signed 64-bit number.
MOST_RULES = 62
LARGEST = 2**31 - 1


class Pending(StrEnum):
    """What becomes of frames that the old variant has taken and not yet answered."""

    FINISH = "finish"
    DROP = "drop"


@dataclass(frozen=True)
class ArtifactRef:
    """An artifact of a bundle.

    Args:
        runtime: name of the runtime.
        precision: of the artifact.
        bundle: folder of its bundle, relative to the one that ships the policy; "." is that one.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    runtime: str
    precision: Precision
    bundle: str = "."

    def __post_init__(self) -> None:
        path = PurePosixPath(self.bundle)
        if path.is_absolute() or ".." in path.parts or "\\" in self.bundle or not self.bundle:
            raise InputError(f"the bundle {self.bundle!r} leads out of the app's own; give a folder below it, or '.'.")


@dataclass(frozen=True)
class Variant:
    """One way to run the model.

    Args:
        name: what rules call it.
        artifacts: an app takes the first whose runtime it has.
        delegate: the accelerator; None for the CPU.
        threads: of the runtime; 0 leaves it to the app.
        power_mw: what it draws when every frame is inferred, for the simulator alone; None when not known.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    artifacts: tuple[ArtifactRef, ...]
    delegate: str | None = None
    threads: int = 0
    power_mw: int | None = None

    def __post_init__(self) -> None:
        if not self.name or not self.artifacts:
            raise InputError(f"the variant {self.name!r} needs a name and at least one artifact.")
        _in_range(f"threads of the variant {self.name}", self.threads, 0, 64)
        _in_range(f"power_mw of the variant {self.name}", self.power_mw, 0, LARGEST)


@dataclass(frozen=True)
class Run:
    """Which frames are inferred: every n-th of those within `on_ms` of each `period_ms`.

    Args:
        every: 1 is every frame.
        on_ms: from the beginning of each period; 0 infers nothing.
        period_ms: 1 and more.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    every: int = 1
    on_ms: int = 1
    period_ms: int = 1

    def __post_init__(self) -> None:
        _in_range("run.every", self.every, 1, LARGEST)
        _in_range("run.period_ms", self.period_ms, 1, LARGEST)
        _in_range("run.on_ms, at most run.period_ms,", self.on_ms, 0, self.period_ms)


@dataclass(frozen=True)
class Choice:
    """What is done while a rule is selected.

    Args:
        use: name of the variant.
        run: which frames are inferred.
        dwell_ms: least time to stay; None takes the policy's.
        settles: where sensors come to rest while this is done, by the author's own measurements; for the check alone.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    use: str
    run: Run = field(default_factory=Run)
    dwell_ms: int | None = None
    settles: Mapping[Sensor, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _in_range("dwell_ms", self.dwell_ms, 0, LARGEST)
        for sensor, value in self.settles.items():
            if sensor not in RANGES:
                raise InputError(f"{sensor} does not settle at a number; leave it out of settles.")
            _in_range(f"settles.{sensor}", value, *RANGES[sensor])


@dataclass(frozen=True)
class Rule:
    """Conditions that all have to hold, and what is done then.

    Args:
        name: unique.
        when: condition by sensor; at least one.
        then: what is done.
        urgent: whether it is followed at once, whatever time the present choice is to last.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    when: Mapping[Sensor, Condition]
    then: Choice
    urgent: bool = False

    def __post_init__(self) -> None:
        if not self.name or self.name == DEFAULT:
            raise InputError(f"a rule is named {self.name!r}; give it a name of its own, other than {DEFAULT!r}.")
        if not self.when:
            raise InputError(f"the rule {self.name} has no condition. What holds always is the policy's default.")
        for sensor, condition in self.when.items():
            try:
                condition.check_sensor(sensor)
            except InputError as error:
                raise InputError(f"rule {self.name}: {error}") from error


@dataclass(frozen=True)
class Handover:
    """How one variant takes over from another.

    Args:
        pending: whether frames under way are waited for.
        drain_ms: for so long at most; their answers are dropped then.
        warmup_frames: that the new variant runs before its answers count.
        state: whether what the app keeps from frame to frame (tracks, smoothing) goes on or begins anew.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    pending: Pending = Pending.FINISH
    drain_ms: int = 500
    warmup_frames: int = 1
    state: Literal["keep", "reset"] = "keep"

    def __post_init__(self) -> None:
        _in_range("handover.drain_ms", self.drain_ms, 0, LARGEST)
        _in_range("handover.warmup_frames", self.warmup_frames, 0, LARGEST)


@dataclass(frozen=True)
class Policy:
    """Which variant runs when.

    Args:
        variants: with unique names.
        default: what is done when no rule holds.
        rules: the first that holds is followed.
        dwell_ms: least time between two choices.
        handover: from one variant to another.
        format: of the file.
        version: of the definition in docs/policy.md.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    variants: tuple[Variant, ...]
    default: Choice
    rules: tuple[Rule, ...] = ()
    dwell_ms: int = 10_000
    handover: Handover = field(default_factory=Handover)
    format: Literal["pocketfit-policy"] = "pocketfit-policy"
    version: Literal[1] = VERSION

    def __post_init__(self) -> None:
        _in_range("dwell_ms", self.dwell_ms, 0, LARGEST)
        _in_range("the number of rules", len(self.rules), 0, MOST_RULES)
        _unique("variants", [variant.name for variant in self.variants])
        _unique("rules", [rule.name for rule in self.rules])
        names = [variant.name for variant in self.variants]
        for who, choice in ((DEFAULT, self.default), *((f"rule {rule.name}", rule.then) for rule in self.rules)):
            if choice.use not in names:
                raise InputError(f"{who} uses the variant {choice.use!r}; there are {', '.join(names) or 'none'}.")

    def choice(self, index: int) -> Choice:
        """What is done at the rule of that index; the default at the index behind the last."""
        return self.rules[index].then if index < len(self.rules) else self.default

    def name(self, index: int) -> str:
        """Name of the rule at that index."""
        return self.rules[index].name if index < len(self.rules) else DEFAULT

    def variant(self, name: str) -> Variant:
        """The variant of that name, which is there."""
        return next(variant for variant in self.variants if variant.name == name)


def _in_range(what: str, value: int | None, lowest: int, highest: int) -> None:
    if value is not None and not lowest <= value <= highest:
        raise InputError(f"{what} is {value}; allowed are {lowest} to {highest}.")


def _unique(what: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"two {what} are named {twice[0]!r}; give each a name of its own.")

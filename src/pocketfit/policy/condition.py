"""One condition of a rule: what a sensor must say for the rule to be entered, and what for it to be left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from pocketfit.errors import InputError
from pocketfit.policy.sensors import FLAGS, STRICT, Sensor

__all__ = ["Bounds", "Condition"]


@dataclass(frozen=True)
class Bounds:
    """Whole numbers from `low` to `high`, both included.

    Args:
        low: None is no limit.
        high: None is no limit.
    """

    low: int | None
    high: int | None

    def hold(self, value: int) -> bool:
        """Whether the value lies in between."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class Condition:
    """Holds for values between the bounds, and for an unknown one if `unknown` says so.

    Without bounds, `equals` and `any_of` it holds for no value that is known.

    Args:
        at_least: the rule is entered at this value and above.
        leave_below: and left only below this one; None: below `at_least`.
        at_most: the rule is entered at this value and below.
        leave_above: and left only above this one; None: above `at_most`.
        equals: for sensors that say yes or no.
        any_of: for the scene: one of these tags.
        unknown: whether it holds when the sensor says nothing.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    at_least: int | None = None
    leave_below: int | None = None
    at_most: int | None = None
    leave_above: int | None = None
    equals: bool | None = None
    any_of: tuple[str, ...] = ()
    unknown: bool = False

    def __post_init__(self) -> None:
        for leave, enter in (("leave_below", "at_least"), ("leave_above", "at_most")):
            if getattr(self, leave) is not None and getattr(self, enter) is None:
                raise InputError(f"a condition has {leave} but no {enter}; give the threshold to enter at as well.")
        if self.enter is None and not self.any_of and not self.unknown:
            raise InputError(
                "a condition is empty. Give at_least or at_most for a number, equals for yes or no, any_of for the "
                'scene, or "unknown": true.'
            )

    def check_sensor(self, sensor: Sensor) -> None:
        """Refuse a condition that says nothing about that kind of sensor.

        Raises:
            InputError: naming the sensor and what it takes.
        """
        numeric = self.at_least is not None or self.at_most is not None
        given = {"at_least or at_most": numeric, "equals": self.equals is not None, "any_of": bool(self.any_of)}
        taken = "any_of" if sensor is Sensor.SCENE else "equals" if sensor in FLAGS else "at_least or at_most"
        wrong = [name for name, there in given.items() if there and name != taken]
        if wrong:
            raise InputError(f"the condition on {sensor} has {wrong[0]}; that sensor takes {taken}, and unknown.")

    @property
    def enter(self) -> Bounds | None:
        """For what numbers the rule is entered; None for no number."""
        if self.equals is not None:
            return Bounds(int(self.equals), int(self.equals))
        if self.at_least is None and self.at_most is None:
            return None
        return Bounds(self.at_least, self.at_most)

    @property
    def stay(self) -> Bounds | None:
        """For what numbers a rule that was entered holds on; None for no number."""
        enter = self.enter
        if enter is None:
            return None
        return Bounds(
            enter.low if self.leave_below is None else self.leave_below,
            enter.high if self.leave_above is None else self.leave_above,
        )

    def holds(self, value: int | str | None, *, entered: bool) -> bool:
        """Whether it holds.

        Args:
            value: of the sensor; None when unknown.
            entered: whether the rule held at the reading before.
        """
        if value is None:
            return self.unknown
        if isinstance(value, str):
            return value in self.any_of
        bounds = self.stay if entered else self.enter
        return bounds is not None and bounds.hold(value)

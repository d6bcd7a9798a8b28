"""Rules that are never followed."""

from __future__ import annotations

from collections.abc import Iterator

from pocketfit.policy.checks.finding import Finding, Kind
from pocketfit.policy.regions import Space, intersection, is_empty, without

__all__ = ["check_reach"]


def check_reach(space: Space) -> Iterator[Finding]:
    """Rules that no reading enters, and rules that an earlier one always comes before."""
    boxes = [space.box(rule) for rule in space.policy.rules]
    for index, box in enumerate(boxes):
        if is_empty(box):
            yield _contradiction(space, index)
        elif not without([box], boxes[:index]):
            yield _unreachable(space, index, boxes)
    used = {rule.then.use for rule in space.policy.rules} | {space.policy.default.use}
    for variant in space.policy.variants:
        if variant.name not in used:
            yield Finding(
                Kind.UNUSED,
                "-",
                f"nothing uses the variant {variant.name}",
                "write a rule that uses it, or leave it out of the app",
                is_fault=False,
            )


def _contradiction(space: Space, index: int) -> Finding:
    rule = space.policy.rules[index]
    box = zip(space.axes, space.box(rule), strict=True)
    sensors = ", ".join(axis.sensor for axis, mask in box if not mask)
    return Finding(
        Kind.CONTRADICTION,
        rule.name,
        f"no value of {sensors} fulfils its condition",
        "at_least has to be at most at_most, and both within the sensor's range",
    )


def _unreachable(space: Space, index: int, boxes: list[tuple[int, ...]]) -> Finding:
    rules = space.policy.rules
    before = [
        earlier.name
        for earlier, box in zip(rules[:index], boxes, strict=False)
        if not is_empty(intersection(box, boxes[index]))
    ]
    held = without([space.box(rules[index], entered=True)], boxes[:index])
    still = f"; it can take over afterwards only, at {space.describe(held[0])}" if held else ""
    return Finding(
        Kind.UNREACHABLE,
        rules[index].name,
        f"whenever it is entered, an earlier rule holds as well: {', '.join(before)}{still}",
        "move it in front of them, or narrow their conditions",
    )

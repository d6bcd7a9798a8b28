"""Circles that a policy drives itself in: what a variant does to the sensors leads to another, and that one back.

Choices say where sensors settle while they last (`settles`). Sensors move there cell by cell, each at a speed of its
own, and a choice is followed at once or after its dwell time. All orders in which that can happen are walked through,
for each kind of reading of the other sensors. A circle of choices that can be walked is an oscillation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

from pocketfit.policy.checks.finding import Finding, Kind
from pocketfit.policy.engine import wanted_rule
from pocketfit.policy.regions import Axis, Space
from pocketfit.policy.spec import Policy

__all__ = ["check_feedback"]

# Beyond this many nodes the walk is given up; policies that people write have some hundreds.
MOST_NODES = 50_000

# Bit i is whether rule i may be entered, and whether it may hold on.
Allowed = tuple[int, int]


@dataclass(frozen=True)
class _Node:
    """Cells of the sensors that settle, rules that hold, and index of the rule that is followed."""

    cells: tuple[int, ...]
    latched: int
    rule: int


@dataclass(frozen=True)
class _Loop:
    """The policy and its sensors, the others being constant.

    Args:
        space: of the policy.
        others: what the constant sensors allow.
    """

    space: Space
    others: Allowed

    @property
    def policy(self) -> Policy:
        return self.space.policy

    @cached_property
    def axes(self) -> list[Axis]:
        return _settling(self.space)

    @cached_property
    def allowed(self) -> list[list[Allowed]]:
        return [_allowed(self.policy, axis)[:-1] for axis in self.axes]

    def starts(self) -> Iterator[_Node]:
        """Anywhere, with nothing known of the past and with every rule having held."""
        for cells in product(*(range(len(axis.firsts)) for axis in self.axes)):
            for before in (0, (1 << len(self.policy.rules)) - 1):
                latched = self._latch(cells, before)
                yield _Node(cells, latched, wanted_rule(self.policy, latched))

    def after(self, node: _Node) -> Iterator[_Node]:
        """What may come next: the rule that is wanted is followed, or a sensor moves on."""
        wanted = wanted_rule(self.policy, node.latched)
        if wanted != node.rule:
            yield _Node(node.cells, node.latched, wanted)
            if wanted < len(self.policy.rules) and self.policy.rules[wanted].urgent:
                return
        for index, axis in enumerate(self.axes):
            target = self.policy.choice(node.rule).settles.get(axis.sensor)
            if target is not None and (way := axis.cell_of(target) - node.cells[index]):
                moved = node.cells[index] + (1 if way > 0 else -1)
                cells = (*node.cells[:index], moved, *node.cells[index + 1 :])
                yield _Node(cells, self._latch(cells, node.latched), node.rule)

    def _latch(self, cells: tuple[int, ...], latched: int) -> int:
        enter, stay = self.others
        for index, cell in enumerate(cells):
            enter &= self.allowed[index][cell][0]
            stay &= self.allowed[index][cell][1]
        return enter & ~latched | stay & latched


def check_feedback(space: Space) -> Iterator[Finding]:
    """Circles of choices, each set of rules once."""
    if not _settling(space):
        return
    seen: set[frozenset[str]] = set()
    nodes = 0
    for others in _constant(space):
        edges = _walk(_Loop(space, others), MOST_NODES - nodes)
        if edges is None:
            yield _undecided()
            return
        nodes += len(edges)
        for circle in _circles(space.policy, edges):
            if frozenset(circle) not in seen:
                seen.add(frozenset(circle))
                yield _oscillation(space.policy, circle)


def _settling(space: Space) -> list[Axis]:
    choices = [*(rule.then for rule in space.policy.rules), space.policy.default]
    sensors = {sensor for choice in choices for sensor in choice.settles}
    return [axis for axis in space.axes if axis.sensor in sensors]


def _allowed(policy: Policy, axis: Axis) -> list[Allowed]:
    """For each cell of an axis, unknown last."""
    masks = [(1 << index, rule.when.get(axis.sensor)) for index, rule in enumerate(policy.rules)]
    covered = [
        (bit, *((axis.everything,) * 2 if one is None else (axis.covered(one, entered=e) for e in (False, True))))
        for bit, one in masks
    ]
    return [
        (
            sum(bit for bit, enter, _ in covered if enter >> cell & 1),
            sum(bit for bit, _, stay in covered if stay >> cell & 1),
        )
        for cell in range(len(axis.firsts) + 1)
    ]


def _constant(space: Space) -> set[Allowed]:
    """What the sensors that do not settle can allow; readings that allow the same are one."""
    settling = _settling(space)
    everything = (1 << len(space.policy.rules)) - 1
    found = {(everything, everything)}
    for axis in space.axes:
        if axis not in settling:
            cells = set(_allowed(space.policy, axis))
            found = {(one & enter, other & stay) for one, other in found for enter, stay in cells}
    return found


def _walk(loop: _Loop, most: int) -> dict[_Node, tuple[_Node, ...]] | None:
    """Every node that can be reached with those behind it; None when there are too many."""
    edges: dict[_Node, tuple[_Node, ...]] = {}
    waiting = list(loop.starts())
    while waiting:
        node = waiting.pop()
        if node in edges:
            continue
        if len(edges) >= most:
            return None
        edges[node] = tuple(loop.after(node))
        waiting += edges[node]
    return edges


def _circles(policy: Policy, edges: Mapping[_Node, tuple[_Node, ...]]) -> Iterator[list[str]]:
    """Names of the rules along each circle that leads through a change of what is done."""
    for node, nexts in edges.items():
        for other in nexts:
            if _does(policy, node.rule) != _does(policy, other.rule):
                way = _way(edges, other, node)
                if way is not None:
                    yield _rules(policy, way)


def _way(edges: Mapping[_Node, tuple[_Node, ...]], start: _Node, end: _Node) -> list[_Node] | None:
    """A shortest way."""
    before: dict[_Node, _Node | None] = {start: None}
    waiting = deque([start])
    while waiting:
        node = waiting.popleft()
        if node == end:
            way = [node]
            while (one := before[way[-1]]) is not None:
                way.append(one)
            return way[::-1]
        for other in edges[node]:
            if other not in before:
                before[other] = node
                waiting.append(other)
    return None


def _rules(policy: Policy, way: list[_Node]) -> list[str]:
    indices = [node.rule for node in way]
    changed = [indices[0], *(new for old, new in pairwise(indices) if new != old)]
    return [policy.name(index) for index in changed]


def _does(policy: Policy, rule: int) -> tuple[object, object]:
    return policy.choice(rule).use, policy.choice(rule).run


def _oscillation(policy: Policy, circle: list[str]) -> Finding:
    by_name = {rule.name: rule.then for rule in policy.rules}
    settled = [
        f"{name} settles at " + ", ".join(f"{sensor} {value}" for sensor, value in choice.settles.items())
        for name in dict.fromkeys(circle)
        if (choice := by_name.get(name, policy.default)).settles
    ]
    return Finding(
        Kind.OSCILLATION,
        ", ".join(dict.fromkeys(circle)),
        f"their own load can lead them in a circle while nothing else changes: {' → '.join([*circle, circle[0]])} "
        f"({'; '.join(settled)})",
        "set the thresholds to leave so that a rule still holds where its own choice settles",
    )


def _undecided() -> Finding:
    return Finding(
        Kind.UNDECIDED,
        "-",
        f"whether the choices drive each other in a circle was not decided: more than {MOST_NODES:,} situations",
        "use fewer thresholds, or try the policy with `pocketfit policy simulate`",
        is_fault=False,
    )

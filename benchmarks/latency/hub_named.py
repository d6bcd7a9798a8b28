"""How often the fastest runtime and precision of a network on a Snapdragon is named right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.latency.hub import HubTable, Way

__all__ = ["Choice", "Named", "chosen", "fastest_named", "named", "ways_of_devices"]

# A choice that is so much slower than the best one, at most, is as good.
AS_GOOD = 1.05


@dataclass(frozen=True)
class Named:
    """How often the fastest way was named right, of devices and networks with two ways.

    Args:
        right: share of cases.
        as_good: how often one was named that takes hardly longer.
        precision: how often the precision was that of the fastest, where there is a choice.
        cases: how many.
    """

    right: float
    as_good: float
    precision: float
    cases: int


@dataclass(frozen=True)
class Choice:
    """A way that was named.

    Args:
        slower: logarithm of its latency over that of the fastest.
        precision: whether it has that of the fastest; none where all have the same.
    """

    slower: float
    precision: bool | None


def fastest_named(data: HubTable, predicted: np.ndarray) -> tuple[Named, Named]:
    """By prediction, and by always naming what is most often fastest on other networks, of those that ran in that way.

    Args:
        data: the table.
        predicted: ways × networks, in any unit that grows with latency.
    """
    ours: list[Choice] = []
    usual: list[Choice] = []
    for column in range(len(data.networks)):
        shares = _usual(data, column)
        for rows in ways_of_devices(data, column):
            if len(rows) > 1:
                often = [shares.get(_words(data.ways[row]), 0.0) for row in rows]
                ours.append(chosen(data, column, rows, rows[np.argmin(predicted[rows, column])]))
                usual.append(chosen(data, column, rows, rows[np.argmax(often)]))
    return named(ours), named(usual)


def ways_of_devices(data: HubTable, column: int) -> Iterator[np.ndarray]:
    """For each device, the rows that have the network."""
    devices = np.array([way.device for way in data.ways])
    for device in np.unique(devices):
        yield np.flatnonzero((devices == device) & np.isfinite(data.log_us[:, column]))


def chosen(data: HubTable, column: int, rows: np.ndarray, named: int) -> Choice:
    """One of the rows as the fastest for a network."""
    log_us = data.log_us[:, column]
    fastest = rows[np.argmin(log_us[rows])]
    several = len({data.ways[row].precision for row in rows}) > 1
    same = data.ways[named].precision == data.ways[fastest].precision
    return Choice(float(log_us[named] - log_us[fastest]), same if several else None)


def named(choices: list[Choice]) -> Named:
    """How many of them were right."""
    times = np.exp([one.slower for one in choices])
    precision = np.mean([one.precision for one in choices if one.precision is not None])
    return Named(float((times == 1).mean()), float((times <= AS_GOOD).mean()), float(precision), len(choices))


def _usual(data: HubTable, without: int) -> dict[tuple[str, str], float]:
    """How often each way is the fastest, of the cases that it has."""
    first, there = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for column in range(len(data.networks)):
        for rows in ways_of_devices(data, column) if column != without else ():
            if len(rows) > 1:
                there.update(_words(data.ways[row]) for row in rows)
                first[_words(data.ways[rows[np.argmin(data.log_us[rows, column])]])] += 1
    return {way: first[way] / count for way, count in there.items()}


def _words(way: Way) -> tuple[str, str]:
    return (way.runtime, way.precision)

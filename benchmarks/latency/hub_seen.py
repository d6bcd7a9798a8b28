"""What a network takes on one Snapdragon, told by what it takes on others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.latency.hub import SPREAD, HubTable
from benchmarks.latency.hub_named import Named, chosen, named, ways_of_devices
from pocketfit.devices.predict.elsewhere import BY_LAYERS, OTHER_PRECISION, SAME_PRECISION

__all__ = ["Step", "among_all", "fastest_seen_elsewhere", "seen_elsewhere", "seen_otherwise", "step_between"]

# Networks that two chips share, for one to tell of the other; and what a single one of them would leave in doubt.
LEAST_SHARED, STEP_DOUBT = 4, 0.15
# A normal distribution's standard deviation over its median deviation.
NORMAL = 1.483
# Before any network tells how often a chip names right what is fastest on another: so often, as if so many had told.
AGREES, AS_MANY = 0.8, 3


@dataclass(frozen=True)
class Step:
    """From one chip to another.

    Args:
        log_times: median of the logarithm of the ratio of their latencies.
        spread: standard deviation of a network's ratio around it, as the median deviation tells it.
    """

    log_times: float
    spread: float


def step_between(one: np.ndarray, other: np.ndarray) -> Step | None:
    """How latencies change from one chip to another, if enough networks ran on both.

    Args:
        one: logarithms of latencies, by network; not a number where nothing was measured.
        other: likewise.
    """
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < LEAST_SHARED:
        return None
    change = (other - one)[both]
    median = float(np.median(change))
    # A few networks may agree by chance: the fewer, the less they are trusted.
    doubt = STEP_DOUBT / np.sqrt(both.sum())
    return Step(median, float(NORMAL * np.median(np.abs(change - median)) + doubt))


def seen_elsewhere(data: HubTable, predicted: np.ndarray, chips: int = 1) -> np.ndarray:
    """Logarithms of microseconds of networks, by their layers and by what they take on other chips: ways × networks.

    The chips that the other networks say are most alike, of those that have it with the same runtime and precision; not
    a number where none has, or where nothing is predicted. As `pocketfit.devices.predict.elsewhere` weighs them.

    Args:
        data: the table.
        predicted: by layers, ways × networks; not a number for networks whose layers are not known.
        chips: how many of them, at most.
    """
    moved = np.full_like(data.log_us, np.nan)
    for column in range(len(data.networks)):
        rest = _without(data, column)
        layers = predicted[:, column]
        for row in np.flatnonzero(np.isfinite(data.log_us[:, column] + layers)):
            others = [one for one in _elsewhere(data, int(row)) if np.isfinite(data.log_us[one, column])]
            found = [(one, step) for one in others if (step := step_between(rest[one], rest[row]))]
            alike = sorted(found, key=lambda pair: pair[1].spread)[:chips]
            if alike:
                ratios = [_ratio(step.log_times, layers[row] - layers[other]) for other, step in alike]
                told = [data.log_us[other, column] + ratio for (other, _), ratio in zip(alike, ratios, strict=True)]
                weights = [step.spread**-2 for _, step in alike]
                moved[row, column] = np.average([*told, layers[row]], weights=[*weights, SPREAD**-2])
    return moved


def _ratio(by_networks: float, by_layers: float) -> float:
    """Of two chips, in logarithms."""
    return (1 - BY_LAYERS) * by_networks + BY_LAYERS * by_layers if np.isfinite(by_layers) else by_networks


def among_all(data: HubTable, known: HubTable, predicted: np.ndarray) -> np.ndarray:
    """Predictions for some networks, in the order of a larger table: ways × networks; else not a number.

    Args:
        data: the larger table.
        known: the smaller one.
        predicted: its ways × networks.
    """
    wide = np.full_like(data.log_us, np.nan)
    rows = [data.ways.index(way) for way in known.ways]
    wide[np.ix_(rows, [data.networks.index(network) for network in known.networks])] = predicted
    return wide


def seen_otherwise(data: HubTable, predicted: np.ndarray, *, same_precision: bool) -> np.ndarray:
    """Logarithms of microseconds of every network, by layers and by one measurement in another way: ways × networks.

    On any device and NPU, drawn once, with another runtime or with another precision. As
    `pocketfit.devices.predict.elsewhere` moves them.

    Args:
        data: the table.
        predicted: by layers, ways × networks.
        same_precision: whether it is the runtime that is another one.
    """
    random, npus = np.random.default_rng(0), [row for row, way in enumerate(data.ways) if way.processor == "npu"]
    pull, _ = SAME_PRECISION if same_precision else OTHER_PRECISION
    moved = np.full_like(data.log_us, np.nan)
    for row, column in np.argwhere(np.isfinite(data.log_us)):
        own = data.ways[row]
        others = [
            one
            for one in npus
            if np.isfinite(data.log_us[one, column])
            and (data.ways[one].precision == own.precision) == same_precision
            and (data.ways[one].runtime != own.runtime or not same_precision)
        ]
        if own.processor == "npu" and others:
            other = random.choice(others)
            moved[row, column] = predicted[row, column] + pull * (data.log_us - predicted)[other, column]
    return moved


def _without(data: HubTable, column: int) -> np.ndarray:
    rest = data.log_us.copy()
    rest[:, column] = np.nan
    return rest


def _elsewhere(data: HubTable, row: int) -> Iterator[int]:
    """The same runtime, precision and processor on other devices, of which one has another's figures."""
    own = data.ways[row]
    for other, way in enumerate(data.ways):
        if other != row and replace(way, device=own.device) == own and not _copied(data, row, other):
            yield other


def _copied(data: HubTable, row: int, other: int) -> bool:
    """Whether two devices have the very same latencies: those of one were written down for both."""
    both = np.isfinite(data.log_us[row]) & np.isfinite(data.log_us[other])
    return bool((data.log_us[row] == data.log_us[other])[both].all())


def fastest_seen_elsewhere(data: HubTable) -> Named:
    """How often the fastest way is named right by what a network takes in each way on one other chip.

    The one that names right most often what is fastest for the other networks and is most alike in latency.
    """
    choices = []
    for column in range(len(data.networks)):
        rest = _without(data, column)
        steps = _steps(data, rest)
        for rows in ways_of_devices(data, column):
            if len(rows) > 1:
                told = _by_most_telling(data, rest, steps, rows, column)
                choices.append(chosen(data, column, rows, rows[np.argmin(told)]))
    return named(choices)


_Steps = Mapping[tuple[int, str], tuple[int, Step]]


def _steps(data: HubTable, rest: np.ndarray) -> _Steps:
    """To each row from each device that has it: the device's row, and the step."""
    return {
        (row, data.ways[other].device): (other, step)
        for row in range(len(data.ways))
        for other in _elsewhere(data, row)
        if (step := step_between(rest[other], rest[row]))
    }


def _by_most_telling(data: HubTable, rest: np.ndarray, steps: _Steps, rows: np.ndarray, column: int) -> np.ndarray:
    """What one other device tells of a network's latencies: rows; infinite where it tells nothing."""
    own = data.ways[rows[0]].device
    every = [row for row, way in enumerate(data.ways) if way.device == own]
    found = []
    for device in sorted({way.device for way in data.ways} - {own}):
        told = _told(data, steps, rows, device)[:, column]
        if np.isfinite(told).any():
            spreads = [steps[row, device][1].spread for row in rows if (row, device) in steps]
            alike = np.mean(spreads) - _agreement(_told(data, steps, every, device), rest[every])
            found.append((-np.isfinite(told).sum(), alike, told))
    if not found:
        return np.full(len(rows), np.inf)
    return min(found, key=lambda one: one[:2])[2]


def _told(data: HubTable, steps: _Steps, rows: np.ndarray | list[int], device: str) -> np.ndarray:
    """What a device tells of the latencies of another one: rows × networks; infinite where it tells nothing."""
    told = np.full((len(rows), len(data.networks)), np.inf)
    for place, row in enumerate(rows):
        if (row, device) in steps:
            other, step = steps[row, device]
            told[place] = np.nan_to_num(data.log_us[other] + step.log_times, nan=np.inf)
    return told


def _agreement(told: np.ndarray, measured: np.ndarray) -> float:
    """How often what is told to be fastest is so, of networks with a choice of which all is told."""
    has = np.isfinite(measured)
    whole = (np.isfinite(told) | ~has).all(axis=0) & (has.sum(axis=0) > 1)
    pair = [np.where(has, one, np.inf)[:, whole].argmin(axis=0) for one in (told, measured)]
    return float(((pair[0] == pair[1]).sum() + AGREES * AS_MANY) / (whole.sum() + AS_MANY))

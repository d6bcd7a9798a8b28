"""The CPU runs of the ncnn table, left out by device, by network, and by both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

from benchmarks.latency.fit import Fitted, fit
from benchmarks.latency.known import Known, choose, estimate, most_telling
from benchmarks.latency.runs import (
    Run,
    amounts_of,
    is_int8,
    latencies,
    ncnn_runs,
    traits,
    without_precision,
)
from benchmarks.latency.scores import Predicted
from pocketfit.devices.predict.kinds import KINDS
from pocketfit.devices.predict.speeds import Speeds, adapted, prior_covariance

__all__ = [
    "MACS",
    "MEASURED",
    "Results",
    "Table",
    "all_others_measured",
    "known_networks",
    "table",
    "unseen_both",
    "unseen_networks",
]

# A run has to have more networks than are measured, to be scored on the others.
LEAST_NETWORKS = 10
MEASURED = 3
# Groups that devices and networks are left out in where both are, to keep the number of fits below fifty.
GROUPS = 6
# What a network takes beyond its kinds of work, before it is scaled by the errors of other folds.
SPREAD = 0.12

# Doublings of the number of threads: a run's weight is a normal curve of them; runs up to so many away choose what to
# measure, if there are enough of them.
NEAR, LIKE, LEAST_ALIKE = 2.0, 1.1, 15

# `benchncnn` got these one after another: which of them a run has tells the version of ncnn.
NEWER = ("blazeface", "yolo-fastest-1.1", "nanodet_m", "FastestDet", "vision_transformer")

MACS = np.array([kind.group in ("arithmetic", "depthwise") for kind in KINDS])

Results = dict[str, list[Predicted]]


@dataclass(frozen=True)
class Table:
    """Runs and networks as arrays.

    Args:
        runs: of one backend.
        networks: by name, in columns.
        log_us: runs × networks.
        amounts: networks × kinds.
        int8: networks.
        traits: runs × traits.
    """

    runs: tuple[Run, ...]
    networks: tuple[str, ...]
    log_us: np.ndarray
    amounts: np.ndarray
    int8: np.ndarray
    traits: np.ndarray

    @property
    def families(self) -> np.ndarray:
        """The architecture of each network: INT8 or not, it is left out whole."""
        return np.array([without_precision(one) for one in self.networks])

    @property
    def scored(self) -> np.ndarray:
        """Which runs are scored: those of servers only help."""
        return np.array([run.mobile for run in self.runs])

    @property
    def devices(self) -> np.ndarray:
        """The device of each run."""
        return np.array([run.device for run in self.runs])

    @property
    def doublings(self) -> np.ndarray:
        """Of the number of threads of each run."""
        return np.log2([run.threads for run in self.runs])

    @property
    def traits_and_version(self) -> np.ndarray:
        """The traits of each run, and the version of ncnn that it was measured with."""
        has = [np.isfinite(self.log_us[:, self.networks.index(one)]) for one in NEWER]
        return np.column_stack([self.traits, *has])


def table(keep: Callable[[Run], bool], backend: str = "cpu") -> Table:
    """The runs on ARM cores, as far as they are to be kept."""
    runs = tuple(run for run in ncnn_runs(backend) if run.arm and keep(run) and len(run.ms) > LEAST_NETWORKS)
    networks = tuple(sorted({name for run in runs for name in run.ms}))
    known = np.stack([traits(run) for run in runs])
    return Table(runs, networks, latencies(runs, networks), amounts_of(networks), is_int8(networks), known)


def known_networks(data: Table) -> Results:
    """A device left out with all its runs; three networks of each run are measured, the others predicted.

    Which three, runs of other devices with about as many threads decide, which count for more in all.
    """
    results: Results = {"ours": [], "Gaussian process": [], "MACs": []}
    traits, scored = data.traits_and_version, data.scored
    for device in np.unique(data.devices[scored]):
        out = data.devices == device
        plain = estimate(data.log_us[~out], np.empty((sum(~out), 0)))
        for doublings in np.unique(data.doublings[out & scored]):
            away = np.abs(data.doublings - doublings)
            ours = estimate(data.log_us[~out], traits[~out], np.exp(-0.5 * (away[~out] / NEAR) ** 2))
            like = ~out & scored & (away <= LIKE)
            like = like if like.sum() >= LEAST_ALIKE else ~out & scored
            pick = cache(partial(_most_telling, ours, data.log_us[like], traits[like]))
            for run in np.flatnonzero(out & scored & (away == 0)):
                measured = list(np.flatnonzero(np.isfinite(data.log_us[run])))
                results["ours"] += _given(device, data, run, ours, traits[run], pick(tuple(measured)))
                chosen = choose(plain.covariance, measured, MEASURED)
                results["Gaussian process"] += _given(device, data, run, plain, _NOTHING, chosen)
                rest = [one for one in measured if one not in chosen]
                results["MACs"] += _by_macs(device, data, run, chosen, rest)
    return results


_NOTHING = np.empty(0)


def _most_telling(known: Known, log_us: np.ndarray, traits: np.ndarray, candidates: tuple[int, ...]) -> list[int]:
    return most_telling(known, log_us, traits, candidates, MEASURED)


def all_others_measured(data: Table) -> Results:
    """A device left out, and of each of its runs every network but one measured: more than three can be hoped to do."""
    results: Results = {"ours": []}
    traits, scored = data.traits_and_version, data.scored
    for device in np.unique(data.devices[scored]):
        out = data.devices == device
        known = estimate(data.log_us[~out], traits[~out])
        for run in np.flatnonzero(out & scored):
            measured = list(np.flatnonzero(np.isfinite(data.log_us[run])))
            for left in measured:
                chosen = [one for one in measured if one != left]
                results["ours"] += _given(device, data, run, known, traits[run], chosen)
    return results


def _given(device: str, data: Table, run: int, known: Known, traits: np.ndarray, chosen: list[int]) -> list[Predicted]:
    """The other networks of a run, once the chosen ones are measured."""
    row = data.log_us[run]
    mean, variance = known.given(traits, chosen, row[chosen])
    rest = [one for one in np.flatnonzero(np.isfinite(row)) if one not in chosen]
    return _predicted(device, mean[rest], row[rest], np.sqrt(variance[rest]))


def unseen_networks(data: Table) -> Results:
    """An architecture left out of all runs; the devices are known by their other networks."""
    results: Results = {"ours": [], "Gaussian process": [], "MACs": []}
    for family in np.unique(data.families):
        out = data.families == family
        fitted = fit(data.log_us[:, ~out], data.amounts[~out], data.int8[~out], data.traits)
        log_us = fitted.predicted(data.amounts[out], data.int8[out], data.traits)
        for run in np.flatnonzero(data.scored):
            row = data.log_us[run]
            rest = [one for one in np.flatnonzero(out) if np.isfinite(row[one])]
            seen = [one for one in np.flatnonzero(~out) if np.isfinite(row[one])]
            ours = log_us[run][np.isin(np.flatnonzero(out), rest)]
            results["ours"] += _predicted(family, ours, row[rest], np.full(len(rest), SPREAD))
            results["MACs"] += _by_macs(family, data, run, seen, rest)
            results["Gaussian process"] += _by_process(family, data, run, seen, rest)
    return results


def unseen_both(data: Table) -> Results:
    """Devices and architectures left out together; three other networks, in float, are measured on the device."""
    results: Results = {"ours": [], "MACs": []}
    for devices in _groups(data.devices):
        for families in _groups(data.families):
            fitted = fit(
                data.log_us[np.ix_(~devices, ~families)],
                data.amounts[~families],
                data.int8[~families],
                data.traits[~devices],
            )
            for run in np.flatnonzero(devices & data.scored):
                _score_both(results, data, fitted, run, families)
    return results


def _score_both(results: Results, data: Table, fitted: Fitted, run: int, families: np.ndarray) -> None:
    row, known = data.log_us[run], data.traits[run]
    seen = [one for one in np.flatnonzero(~families & ~data.int8) if np.isfinite(row[one])]
    rest = [one for one in np.flatnonzero(families) if np.isfinite(row[one])]
    prior = _speeds(fitted, known, int8=False)
    kernel = _shares(data, prior, seen)
    chosen = [seen[one] for one in choose(kernel @ prior.covariance @ kernel.T, range(len(seen)), MEASURED)]
    measured = [(data.amounts[one], float(np.exp(row[one]) / 1000)) for one in chosen]
    after = adapted(prior, measured)
    change = after.log_us - prior.log_us
    fold = (data.runs[run].device, tuple(data.families[rest][:1]))
    for one in rest:
        speeds = after
        if data.int8[one]:
            speeds = Speeds(_speeds(fitted, known, int8=True).log_us + change, after.covariance, SPREAD)
        guess = speeds.estimate(data.amounts[[one]])
        deviation = np.array([np.log(guess.high_ms / guess.ms)])
        results["ours"] += _predicted(fold, np.log([1000 * guess.ms]), row[[one]], deviation)
    results["MACs"] += _by_macs(fold, data, run, chosen, rest)


def _speeds(fitted: Fitted, known: np.ndarray, *, int8: bool) -> Speeds:
    return Speeds(fitted.expected(known, int8=int8), prior_covariance(), SPREAD)


def _shares(data: Table, speeds: Speeds, networks: Sequence[int]) -> np.ndarray:
    times = data.amounts[list(networks)] * np.exp(speeds.log_us)
    shares: np.ndarray = times / times.sum(axis=1, keepdims=True)
    return shares


def _groups(names: np.ndarray) -> Iterator[np.ndarray]:
    """Masks of groups of equal names, always the same."""
    distinct = np.random.default_rng(0).permutation(np.unique(names))
    for group in np.array_split(distinct, GROUPS):
        yield np.isin(names, group)


def _predicted(fold: object, guess: np.ndarray, truth: np.ndarray, deviation: np.ndarray) -> list[Predicted]:
    return [Predicted(str(fold), *map(float, row)) for row in zip(guess - truth, deviation, strict=True)]


def _by_macs(fold: object, data: Table, run: int, seen: Sequence[int], rest: Sequence[int]) -> list[Predicted]:
    """Time in proportion to multiply-accumulates, at the speed of the networks that were seen."""
    macs = np.log(data.amounts[:, MACS].sum(axis=1))
    level = np.mean(data.log_us[run, list(seen)] - macs[list(seen)])
    rest = list(rest)
    return _predicted(fold, macs[rest] + level, data.log_us[run, rest], np.ones(len(rest)))


def _by_process(fold: object, data: Table, run: int, seen: Sequence[int], rest: Sequence[int]) -> list[Predicted]:
    """A Gaussian process of one run alone over the logarithms of four sizes of a network and its precision."""
    if not rest:
        return []
    groups = [[kind.group == group for kind in KINDS] for group in ("traffic", "weights", "calls")]
    sizes = [data.amounts[:, columns].sum(axis=1) for columns in (MACS, *groups)]
    features = np.column_stack([*np.log(sizes), data.int8])
    seen, rest = list(seen), list(rest)
    kernel = 4.0 * RBF(4.0) + WhiteKernel(0.02)
    process = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)
    mean, deviation = process.fit(features[seen], data.log_us[run, seen]).predict(features[rest], return_std=True)
    return _predicted(fold, mean, data.log_us[run, rest], deviation)

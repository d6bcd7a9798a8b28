"""The CPU runs of the ncnn table, left out by device, by network, and by both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

from benchmarks.latency.fit import Fitted, fit
from benchmarks.latency.known import choose, estimate
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

__all__ = ["MACS", "MEASURED", "Results", "Table", "known_networks", "table", "unseen_both", "unseen_networks"]

# A run has to have more networks than are measured, to be scored on the others.
LEAST_NETWORKS = 10
MEASURED = 3
# Groups that devices and networks are left out in where both are, to keep the number of fits below fifty.
GROUPS = 6
# What a network takes beyond its kinds of work, before it is scaled by the errors of other folds.
SPREAD = 0.12

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


def table(keep: Callable[[Run], bool], backend: str = "cpu") -> Table:
    """The runs on ARM cores, as far as they are to be kept."""
    runs = tuple(run for run in ncnn_runs(backend) if run.arm and keep(run) and len(run.ms) > LEAST_NETWORKS)
    networks = tuple(sorted({name for run in runs for name in run.ms}))
    known = np.stack([traits(run) for run in runs])
    return Table(runs, networks, latencies(runs, networks), amounts_of(networks), is_int8(networks), known)


def known_networks(data: Table) -> Results:
    """A device left out with all its runs; three networks of each run are measured, the others predicted."""
    results: Results = {"ours": [], "Gaussian process": [], "MACs": []}
    for device in np.unique(data.devices[data.scored]):
        out = data.devices == device
        with_traits, plain = (
            estimate(data.log_us[~out], known[~out]) for known in (data.traits, np.empty((len(out), 0)))
        )
        for run in np.flatnonzero(out & data.scored):
            measured = list(np.flatnonzero(np.isfinite(data.log_us[run])))
            for name, known, seen in (("ours", with_traits, data.traits[run]), ("Gaussian process", plain, _NOTHING)):
                chosen = choose(known.covariance, measured, MEASURED)
                mean, variance = known.given(seen, chosen, data.log_us[run, chosen])
                rest = [one for one in measured if one not in chosen]
                results[name] += _predicted(device, mean[rest], data.log_us[run, rest], np.sqrt(variance[rest]))
            results["MACs"] += _by_macs(device, data, run, chosen, rest)
    return results


_NOTHING = np.empty(0)


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

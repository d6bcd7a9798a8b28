"""How far latency predictions are off, when the phone, the network, or both were left out of everything they come from.

`mape` is the mean absolute percentage error, `median_ape` the median, `within_10` how many are within ±10 %,
`coverage_90` how often the measured latency lies in the interval that is to cover 90 %, `named_as_good` how often the
named one takes at most 5 % more than the fastest, `precision_right` how often its precision is that of the fastest: all
in percent. Devices are the phones, boards and laptops of the ncnn table; runs on ARM servers help to fit and are not
scored. A network and its INT8 form are left out together. Latencies are the shortest of each run. The deviations in
`latency/fit.py`, `latency/hub.py` and `latency/known.py` are the same for all folds; intervals are scaled by the errors
of the other folds. Kinds of work and deviations were settled by hand, with leave-one-out errors in view and not in
nested folds: docs/prediction.md says what that brought.

Needs the tables, in `latency/` of the folder that POCKETFIT_DATA names. Also refreshes the table of docs/prediction.md.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.latency.hub import as_predictions, by_macs, hub_table, unseen_hub_networks
from benchmarks.latency.hub_named import Named, fastest_named
from benchmarks.latency.hub_seen import among_all, fastest_seen_elsewhere, seen_elsewhere, seen_otherwise
from benchmarks.latency.leave_out import (
    MEASURED,
    Results,
    Table,
    all_others_measured,
    known_networks,
    table,
    unseen_both,
    unseen_networks,
)
from benchmarks.latency.scores import score
from benchmarks.latency.thread_counts import other_thread_counts
from benchmarks.results import Row
from pocketfit.devices.predict.demands import Demand
from pocketfit.devices.predict.kinds import KINDS, NPU_KINDS
from pocketfit.devices.predict.predict import ModelNeeds, predict
from pocketfit.devices.predict.threads import MOST
from pocketfit.devices.profile import all_profiles

DOC = Path(__file__).parents[1] / "docs" / "prediction.md"

# Tasks whose spread the shipped profiles have.
UNSEEN = {
    "one thread": "unseen network, known device, one thread",
    "threads": "unseen network, known device, several threads",
    "gpu": "unseen network, known device, GPU",
    "hub": "unseen network, known Snapdragon NPU or GPU",
}
# Predictors without an interval.
POINTS = ("MACs", "the same for all networks")
NN_METER = "nn-Meter, as published"
# Beside each of our rows, in `baseline`.
_OURS = "ours"


def run() -> Iterator[Row]:
    """One row per task and predictor."""
    torch.set_num_threads(1)
    rows = [row for found in (_cpu_rows(), _hub_rows(), _published(), _speed()) for row in found]
    _refresh(rows)
    yield from rows


def _cpu_rows() -> Iterator[Row]:
    one, every, more = table(lambda run: run.threads == 1), table(lambda run: True), table(lambda run: run.threads > 1)
    gpu = table(lambda run: run.mobile, "gpu")
    few = f"one thread known, another count, {MOST} at most"
    tasks: tuple[tuple[str, Callable[[Table], Results], Table, int | None], ...] = (
        ("known networks, new device, one thread", known_networks, one, MEASURED),
        ("known networks, new device, one thread, all others measured", all_others_measured, one, None),
        ("known networks, new device, all thread counts", known_networks, every, MEASURED),
        (few, lambda data: other_thread_counts(data, lambda count: count <= MOST), every, MEASURED),
        (
            "one thread known, another count, above that",
            lambda data: other_thread_counts(data, lambda count: count > MOST),
            every,
            MEASURED,
        ),
        (UNSEEN["one thread"], unseen_networks, one, 0),
        (UNSEEN["threads"], unseen_networks, more, 0),
        (UNSEEN["gpu"], unseen_networks, gpu, 0),
        ("unseen network and device, one thread", unseen_both, one, MEASURED),
    )
    for task, results, data, measured in tasks:
        for predictor, predictions in results(data).items():
            yield _row(task, predictor, measured, score(predictions, intervals=predictor not in POINTS))


def _hub_rows() -> Iterator[Row]:
    data = hub_table()
    ours, macs = unseen_hub_networks(data), by_macs(data)
    task = UNSEEN["hub"]
    yield _row(task, _OURS, 0, score(as_predictions(data, ours)))
    yield _row(task, "MACs", 0, score(as_predictions(data, macs), intervals=False))
    task = "unseen network, fastest runtime and precision named right"
    for predictor, named in zip((_OURS, "the one most often fastest"), fastest_named(data, ours), strict=True):
        yield _row(task, predictor, 0, _share(named))
    for same, words in ((True, "runtime"), (False, "precision")):
        moved = seen_otherwise(data, ours, same_precision=same)
        yield _row(f"network seen on one Snapdragon with another {words}", _OURS, 1, score(as_predictions(data, moved)))
    # How chips compare needs no layers: every network of the table tells of that.
    known, data = data, hub_table(layers_known=False)
    ours = among_all(data, known, ours)
    for chips, words in ((1, "one other Snapdragon"), (3, "three other Snapdragons")):
        moved = seen_elsewhere(data, ours, chips)
        yield _row(f"network seen on {words}", _OURS, chips, score(as_predictions(data, moved)))
    task = "network seen on one other Snapdragon in each way, fastest named right"
    yield _row(task, _OURS, 1, _share(fastest_seen_elsewhere(data)))


def _share(named: Named) -> dict[str, float | int]:
    shares = {"named_right": named.right, "named_as_good": named.as_good, "precision_right": named.precision}
    return {name: round(100 * share, 1) for name, share in shares.items()} | {"predictions": named.cases}


def _published() -> Iterator[Row]:
    """Not run here: measured by its authors on other phones and networks, thousands of kernels on each phone.

    Source: Zhang et al., "nn-Meter", MobiSys 2021, and microsoft/nn-Meter, README.md at 045a147.
    """
    for processor, share in (("Cortex-A76, TFLite", 99.0), ("Adreno 640, TFLite", 99.1), ("Adreno 630, TFLite", 99.0)):
        yield _row(f"unseen network, known device: {processor}", NN_METER, None, {"within_10": share})


def _speed() -> Iterator[Row]:
    """Milliseconds that the predictions of one inspected model take on all profiles together, and on one."""
    random = np.random.default_rng(0)
    works = ({kind.name: random.random() for kind in kinds} for kinds in (KINDS, NPU_KINDS) * 200)
    demands = tuple(Demand(str(place), "", "", next(works), next(works)) for place in range(200))
    needs, profiles = ModelNeeds(demands, 1, 1.0), all_profiles()
    start = time.perf_counter()
    for profile in profiles:
        predict(needs, profile)
    took_ms = 1000 * (time.perf_counter() - start)
    task = "time of a prediction, 200 layers, every way of a device"
    yield _row(task, _OURS, None, {"ms": round(took_ms / len(profiles), 2), "predictions": len(profiles)})


def _row(task: str, predictor: str, measured: int | None, figures: dict[str, Any]) -> Row:
    return {"task": task, "baseline": predictor, "measurements": measured, **figures}


def _refresh(rows: list[Row]) -> None:
    """Put the table between its marks in the document."""
    head = ("task", "predictor", "measured", "MAPE", "median", "within ±10 %", "90 % covers", "cases")
    lines = [f"| {' | '.join(head)} |", "|---|---|" + "---:|" * (len(head) - 2)]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows if "ms" not in row]
    text = DOC.read_text()
    body = "".join(f"{line}\n" for line in lines)
    DOC.write_text(re.sub(r"(<!-- table -->\n).*(<!-- end -->)", rf"\g<1>{body}\g<2>", text, flags=re.DOTALL))


def _cells(row: Row) -> list[str]:
    figures = [row.get(name) for name in ("mape", "median_ape", "within_10", "coverage_90")]
    cells = ["" if one is None else f"{one} %" for one in figures]
    if "named_right" in row:
        cells[0] = (
            f"{row['named_right']} % right, {row['named_as_good']} % within 5 % of the fastest, "
            f"{row['precision_right']} % the right precision"
        )
    measured = "" if row["measurements"] is None else str(row["measurements"])
    return [row["task"], row["baseline"], measured, *cells, str(row.get("predictions", ""))]

"""`pocketfit bundle threshold`: from which score on an artifact accepts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.bundle.options import BundleFolder, Out
from pocketfit.cli.options import (
    AsJson,
    Cache,
    CalibrationSamples,
    DryRun,
    EvaluationSamples,
    check_count,
    parse_names,
)
from pocketfit.cli.output import console, print_json, table
from pocketfit.errors import DataError, OptionError

if TYPE_CHECKING:
    import numpy as np

    from pocketfit.bundle import Bundle
    from pocketfit.bundle.manifest import ArtifactEntry
    from pocketfit.matching import OperatingPoint, Scored, Thresholds
    from pocketfit.types import Samples

__all__ = ["threshold"]

SHOWN = (1e-1, 1e-2, 1e-3, 1e-4)


def threshold(
    bundle: BundleFolder,
    data: Annotated[
        str | None,
        typer.Option(
            help="What fit was given, with the person of each sample; the held-out ones are paired, each two."
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="In place of it, an .npz: x as the model takes it, pairs (P x 2 positions in x), same (P)."),
    ] = None,
    far: Annotated[float, typer.Option(help="False-accept rate to choose the threshold for, a share.")] = 1e-3,
    live_class: Annotated[
        int | None,
        typer.Option(help="The model is a liveness gate: score samples of --data by the probability of this class."),
    ] = None,
    runtimes: Annotated[
        str | None, typer.Option(help="Run these only, joined by commas, such as onnxruntime,ncnn.")
    ] = None,
    calibration_samples: CalibrationSamples = 100,
    evaluation_samples: EvaluationSamples = None,
    out: Out = None,
    cache: Cache = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Choose the threshold of each artifact for a false-accept rate, and store it in the bundle; sign it afterwards.

    Example: pocketfit bundle threshold bundle --data faces/ --far 1e-3

    Example: pocketfit bundle threshold bundle --pairs pairs.npz --far 1e-4

    Example: pocketfit bundle threshold liveness --data spoofs/ --live-class 1 --far 1e-2
    """
    if (data is None) == (pairs is None):
        raise OptionError("Give samples with --data, or pairs of them with --pairs; one of the two.")
    if pairs is not None and live_class is not None:
        raise OptionError("--live-class scores samples, not pairs. Give --data.")
    if not 0 < far < 1:
        raise OptionError(f"--far {far:g} is no false-accept rate. Give a share above 0 and below 1, such as 1e-3.")
    check_count("--calibration-samples", calibration_samples)
    check_count("--evaluation-samples", evaluation_samples)
    wanted = None if runtimes is None else parse_names("--runtimes", runtimes, "`pocketfit runtimes` lists them.")

    from rich.console import Console

    from pocketfit.bundle import check_destination, read_bundle
    from pocketfit.bundle.thresholds import check_one_variant, first_outputs, store_thresholds

    read = read_bundle(bundle)
    check_one_variant(read)
    if not dry_run:
        check_destination(out or bundle)
    with Console(stderr=True).status("Reading the samples") as status:
        chosen = (
            _read_pairs(pairs, read)
            if pairs is not None
            else _read_data(data or "", read, cache, (calibration_samples, evaluation_samples), live_class)
        )
        found, left_out = first_outputs(
            read, chosen.samples, runtimes=wanted, progress=lambda name: status.update(f"Running {name}")
        )
        status.update("Scoring")
        scored = [(entry, chosen.score(read, outputs)) for entry, outputs in found]
        _check_enough(scored[0][1], far)
        points = [(entry, _points(one, far)) for entry, one in scored]
    result = _thresholds(points, scored[0][1], far, chosen, int(found[0][1][0].size))
    if as_json:
        print_json(_as_data(points, result, left_out))
    else:
        _show(points, scored[0][1], left_out)
    if not dry_run:
        where = store_thresholds(read, result, out or bundle)
        if not as_json:
            typer.echo(f"Stored the thresholds for FAR {far:g} in {where}. It is not signed.")


class _Chosen:
    """Samples, and how they are scored."""

    def __init__(self, samples: Samples, source: str, live_class: int | None = None) -> None:
        self.samples = samples
        self.source = source
        self.live_class = live_class
        self.members: np.ndarray | None = None
        self.same: np.ndarray | None = None

    def score(self, bundle: Bundle, outputs: np.ndarray) -> Scored:
        from pocketfit.contract import Classes
        from pocketfit.matching import all_pairs, cosines, probabilities

        labels = self.samples.labels
        if self.live_class is not None:
            contract = bundle.contract()
            output = None if contract is None else contract.output
            softmax = not isinstance(output, Classes) or output.softmax
            assert labels is not None
            return probabilities(outputs, labels, self.live_class, softmax=softmax)
        if self.members is None or self.same is None:
            assert labels is not None
            self.members = all_pairs(len(labels))
            self.same = labels[self.members[:, 0]] == labels[self.members[:, 1]]
        return cosines(outputs, self.members, self.same)


def _read_data(
    spec: str, bundle: Bundle, cache: Path | None, counts: tuple[int, int | None], live_class: int | None
) -> _Chosen:
    from pocketfit.data.load import load_data
    from pocketfit.store import default_cache
    from pocketfit.verify.metrics.embeddings import check_identities

    def check(targets: np.ndarray, told: str) -> np.ndarray:
        return check_identities(targets, told, ())

    dataset = load_data(
        spec,
        preprocess=bundle.contract(),
        input_shape=bundle.manifest.input.shape[1:],
        cache=(cache or default_cache()) / "data",
        calibration=counts[0],
        evaluation=counts[1],
        check=check,
    )
    if dataset.evaluation.labels is None:
        raise DataError(f"{spec} does not say whose sample is whose. Give labels: folders of persons, or y in an .npz.")
    return _Chosen(dataset.evaluation, spec, live_class)


def _read_pairs(path: Path, bundle: Bundle) -> _Chosen:
    from pocketfit.bundle.pairs import read_pairs

    samples, members, same = read_pairs(path, bundle.manifest.input.shape[1:])
    chosen = _Chosen(samples, str(path))
    chosen.members, chosen.same = members, same
    return chosen


def _check_enough(scored: Scored, far: float) -> None:
    if far * scored.impostors < 1 - 1e-9:
        raise DataError(
            f"There are {scored.impostors} impostors, so nothing is known of a false-accept rate below "
            f"{1 / scored.impostors:.2g}. Give more data for --far {far:g}, or a larger rate."
        )


def _points(scored: Scored, far: float) -> tuple[OperatingPoint, ...]:
    from pocketfit.matching import operating_points

    return operating_points(scored, sorted({*SHOWN, far}, reverse=True))


def _thresholds(
    points: list[tuple[ArtifactEntry, tuple[OperatingPoint, ...]]],
    scored: Scored,
    far: float,
    chosen: _Chosen,
    length: int,
) -> Thresholds:
    from pocketfit.matching import ArtifactThreshold, Thresholds

    artifacts = []
    for entry, found in points:
        figures = asdict(next(point for point in found if point.wanted == far))
        figures.pop("wanted")
        artifacts.append(ArtifactThreshold(entry.runtime, entry.precision, **figures))
    return Thresholds(
        score="cosine" if chosen.live_class is None else "probability",
        length=length,
        wanted=far,
        source=chosen.source,
        samples=scored.samples,
        genuine=len(scored.scores) - scored.impostors,
        impostors=scored.impostors,
        artifacts=tuple(artifacts),
        live_class=chosen.live_class,
    )


def _show(
    points: list[tuple[ArtifactEntry, tuple[OperatingPoint, ...]]],
    scored: Scored,
    left_out: list[tuple[ArtifactEntry, str]],
) -> None:
    out = console()
    genuine = len(scored.scores) - scored.impostors
    out.print(f"{scored.samples} samples: {genuine} genuine, {scored.impostors} impostors", highlight=False)
    rows = [(entry.title, *_cells(point)) for entry, found in points for point in found]
    out.print(table(rows, ("artifact",), ("FAR wanted", "threshold", "FAR found", "95%", "TAR", "95%")))
    if missing := [rate for rate in SHOWN if rate * scored.impostors < 1 - 1e-9]:
        told = ", ".join(f"{rate:g}" for rate in missing)
        out.print(f"Nothing is claimed of FAR {told}: less than one impostor of {scored.impostors}.", highlight=False)
    for entry, reason in left_out:
        out.print(f"{entry.title}: no threshold, {reason}", markup=False, highlight=False)


def _cells(point: OperatingPoint) -> tuple[str, ...]:
    return (
        f"{point.wanted:g}",
        f"{point.threshold:.4f}",
        f"{point.far:.2e}",
        f"{point.far_low:.1e} … {point.far_high:.1e}",
        f"{100 * point.tar:.2f}%",
        f"{100 * point.tar_low:.2f} … {100 * point.tar_high:.2f}",
    )


def _as_data(
    points: list[tuple[ArtifactEntry, tuple[OperatingPoint, ...]]],
    result: Thresholds,
    left_out: list[tuple[ArtifactEntry, str]],
) -> dict[str, object]:
    tables = [
        {"runtime": entry.runtime, "precision": entry.precision, "points": [asdict(point) for point in found]}
        for entry, found in points
    ]
    missing = [rate for rate in SHOWN if rate * result.impostors < 1 - 1e-9]
    reasons = [{"runtime": entry.runtime, "precision": entry.precision, "reason": reason} for entry, reason in left_out]
    return asdict(result) | {"table": tables, "not_claimed": missing, "left_out": reasons}

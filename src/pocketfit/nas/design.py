"""A network designed from scratch: shared weights trained, the best network that is allowed found, and judged."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pocketfit.contract import Contract
from pocketfit.data.dataset import array_digest, fingerprint
from pocketfit.data.digits import INPUT_SHAPE, read_digits
from pocketfit.data.load import load_data
from pocketfit.data.preprocess import batches
from pocketfit.devices.predict.limit import LatencyLimit
from pocketfit.errors import DataError, OptionError
from pocketfit.graph.running import run_graph
from pocketfit.inspection.cost import inspect_model
from pocketfit.models.canonical import canonicalise
from pocketfit.models.store import write_program
from pocketfit.nas.architecture import Architecture, Space, space_for
from pocketfit.nas.cost import Cost, macs_of, predicted_latency
from pocketfit.nas.find import Found, accuracy_of, find
from pocketfit.nas.supernet import Supernet
from pocketfit.nas.train import supernet_recipe, train_supernet, training_key
from pocketfit.stages import Nobody, Watcher, timed
from pocketfit.store import default_cache, key_of
from pocketfit.types import Accuracy, LoadedModel, Samples
from pocketfit.verify.accuracy import evaluate

__all__ = ["NasRequest", "NasResult", "Row", "design"]

DIGITS = "digits"
BATCH = 64
# One of so many training samples judges the candidates, and trains nothing.
JUDGES_EVERY = 5
# That the batch normalisations of a candidate take their statistics from.
CALIBRATION = 512


@dataclass(frozen=True)
class NasRequest:
    """What `nas` is asked.

    Args:
        training_data: labelled, as for `fit`; a fifth of it judges the candidates. "digits" for those of scikit-learn.
        data: what the chosen network is judged by in the end, as for `fit`; None for no such figure, or of the digits
            those that are held out.
        out: `.pt2` file to write; None to write none.
        input_shape: channels, height, width; None for digits.
        preprocess: what images go through; None for the default.
        width: channels of the first stage.
        epochs: of the training.
        trials: networks that the search looks at.
        max_macs: multiply-accumulates that the network may take; None for any.
        latency: predicted for which phone, and how much of it the network may take; None where MACs are the cost.
        cache: folder for decoded images, the trained weights and the search; None for the user's cache folder.
    """

    training_data: str = DIGITS
    data: str | None = None
    out: Path | None = None
    input_shape: tuple[int, ...] | None = None
    preprocess: Contract | None = None
    width: int = 16
    epochs: int = 30
    trials: int = 60
    max_macs: float | None = None
    latency: LatencyLimit | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class Row:
    """A network that no other one beats.

    Args:
        architecture: in words, such as "k3e2 k5e4 | k3e6".
        blocks: how many it has.
        accuracy: in percent, on training samples that trained nothing.
        cost: in the unit of the search.
    """

    architecture: str
    blocks: int
    accuracy: float
    cost: float


@dataclass(frozen=True)
class NasResult:
    """What a search came to.

    Args:
        networks: how many there are in the space.
        cost: what the rows' costs are.
        front: the cheapest first; the last one is the network that is written.
        parameters: of that one.
        macs: likewise.
        accuracy: on the held-out data, beside the largest network of the space; None without data.
        seconds: that everything took; what was found finished is in no time.
    """

    networks: int
    cost: str
    front: tuple[Row, ...]
    parameters: int
    macs: int
    accuracy: Accuracy | None
    seconds: float


def design(request: NasRequest, watcher: Watcher | None = None) -> NasResult:
    """Train, search, write the best network that is allowed, and say what it costs and answers.

    Killed at any point and asked again, it goes on where it stopped: the training from its last checkpoint, the search
    from its last candidate.

    Raises:
        PocketfitError: of every kind that reading data, training, searching and writing have.
    """
    return _Run(request, watcher or Nobody()).run()


class _Run:
    def __init__(self, request: NasRequest, watcher: Watcher) -> None:
        self.request, self.watcher = request, watcher
        self.root = request.cache or default_cache()

    def run(self) -> NasResult:
        request, start = self.request, time.perf_counter()
        training, held_out = self._training(), self._held_out()
        assert training.labels is not None  # of digits, or looked at
        space = space_for(self._shape(), int(training.labels.max()) + 1, request.width)
        cost = self._cost(space)
        learns, judges = _apart(training)
        supernet, folder = self._supernet(space, learns)
        front = self._front(supernet, learns, judges, cost, folder)
        model = self._exported(supernet, learns, front[-1].architecture)
        if request.out is not None:
            write_program(model, request.out)
        inspection = inspect_model(model)
        return NasResult(
            networks=len(space),
            cost=cost.name,
            front=tuple(_row(one) for one in front),
            parameters=inspection.parameters,
            macs=inspection.macs,
            accuracy=None if held_out is None else self._accuracy(model, supernet, learns, held_out),
            seconds=time.perf_counter() - start,
        )

    # data --------------------------------------------------------------------------------------------------------

    def _shape(self) -> tuple[int, ...]:
        if self.request.training_data == DIGITS:
            return INPUT_SHAPE
        if self.request.input_shape is None:
            raise OptionError("A network that does not exist yet takes any size. Give --input, such as 3x32x32.")
        return self.request.input_shape

    def _training(self) -> Samples:
        if self.request.training_data == DIGITS:
            return _digits(held_out=False)
        samples = self._read(self.request.training_data)
        if samples.labels is None:
            raise DataError(f"{self.request.training_data} has no labels, and a new network learns from nothing else.")
        return samples

    def _held_out(self) -> Samples | None:
        data, learnt = self.request.data, self.request.training_data
        if learnt == DIGITS and data in (None, DIGITS):
            return _digits(held_out=True)
        if data == learnt:
            raise OptionError(f"{data} is what the network learns from: it would be judged by what it knows already.")
        return None if data is None else self._read(data)

    def _read(self, spec: str) -> Samples:
        with timed(self.watcher, "data") as stage:
            dataset = load_data(
                spec,
                preprocess=self.request.preprocess,
                input_shape=self._shape(),
                cache=self.root / "images",
                calibration=1,
                progress=stage.report,
            )
        return dataset.evaluation

    # search ------------------------------------------------------------------------------------------------------

    def _cost(self, space: Space) -> Cost:
        latency = self.request.latency
        if latency is None:
            return macs_of(space, self.request.max_macs)
        if latency.device is None:
            raise OptionError("Hundreds of networks cannot be measured here. Name a phone: --latency 5ms@xiaomi-mi-11.")
        return predicted_latency(space, latency.device, latency.ms)

    def _supernet(self, space: Space, samples: Samples) -> tuple[Supernet, Path]:
        recipe = supernet_recipe(self.request.epochs)
        folder = self.root / "nas" / training_key(space, samples, recipe)[:16]
        folder.mkdir(parents=True, exist_ok=True)
        with timed(self.watcher, "train") as stage:
            supernet = train_supernet(
                space,
                samples,
                recipe,
                checkpoint=folder / "supernet.pt",
                progress=lambda step: stage.report(step.number, step.steps),
            )
        return supernet, folder

    def _front(
        self, supernet: Supernet, learns: Samples, judges: Samples, cost: Cost, folder: Path
    ) -> tuple[Found, ...]:
        calibration, questions = _first(learns, CALIBRATION), list(batches(judges, BATCH))
        assert judges.labels is not None
        labels = judges.labels

        def judge(architecture: Architecture) -> float:
            return accuracy_of(supernet.taken_out(architecture, calibration), questions, labels)

        study = key_of({"cost": cost.name, "limit": cost.limit})[:16]
        with timed(self.watcher, "search", self.request.trials) as stage:
            return find(
                supernet.space,
                judge,
                cost,
                self.request.trials,
                storage=folder / "search.db",
                study=study,
                progress=lambda done, _: stage.set(done),
            )

    # result ------------------------------------------------------------------------------------------------------

    def _exported(self, supernet: Supernet, learns: Samples, architecture: Architecture) -> LoadedModel:
        net = supernet.taken_out(architecture, _first(learns, CALIBRATION))
        model = canonicalise(net, supernet.space.input_shape, name="designed", source=str(architecture))
        return replace(model, preprocess=learns.preprocess)

    def _accuracy(self, model: LoadedModel, supernet: Supernet, learns: Samples, held_out: Samples) -> Accuracy | None:
        if held_out.labels is None:
            return None
        largest = self._exported(supernet, learns, supernet.space.largest())
        with timed(self.watcher, "evaluate"):
            ours, theirs = (run_graph(one.graph, batches(held_out, BATCH)) for one in (model, largest))
        return evaluate(ours, theirs, held_out.labels)


def _digits(*, held_out: bool) -> Samples:
    digits = read_digits()
    chosen = list(digits.held_out if held_out else digits.training)
    inputs, labels = digits.inputs[chosen], digits.labels[chosen]
    return Samples(inputs, labels, None, fingerprint=fingerprint(array_digest(inputs), labels, None))


def _apart(samples: Samples) -> tuple[Samples, Samples]:
    """What trains, and what judges candidates."""
    judges = np.arange(len(samples.inputs)) % JUDGES_EVERY == 0
    return _some(samples, ~judges), _some(samples, judges)


def _some(samples: Samples, chosen: np.ndarray) -> Samples:
    assert samples.labels is not None
    inputs, labels = samples.inputs[chosen], samples.labels[chosen]
    return replace(
        samples, inputs=inputs, labels=labels, fingerprint=fingerprint(array_digest(inputs), labels, samples.preprocess)
    )


def _first(samples: Samples, count: int) -> list[np.ndarray]:
    return list(batches(replace(samples, inputs=samples.inputs[:count], labels=None), BATCH))


def _row(found: Found) -> Row:
    blocks = sum(map(len, found.architecture.stages))
    return Row(str(found.architecture), blocks, found.accuracy, found.cost)

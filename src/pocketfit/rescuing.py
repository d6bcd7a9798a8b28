"""The rescue ladder on one model and its data: each step stored, each draft scored on held-out samples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict, TypeAdapter

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.divergence import answers_sqnr_db, divergence
from pocketfit.compress.quantize.draft import Bench, Draft, Step, draw
from pocketfit.compress.quantize.ladder import Ladder, Target, climb
from pocketfit.compress.quantize.placement import is_layer, place
from pocketfit.compress.quantize.plan import plan_from_json, plan_to_json
from pocketfit.compress.quantize.qat import TrainingRecipe
from pocketfit.compress.quantize.recipe import Levels, Recipe
from pocketfit.compress.quantize.rungs import (
    AdaptRounding,
    ChooseRanges,
    CorrectBiases,
    Equalize,
    FloatBetween,
    MixPrecision,
    Reconstruct,
    Smooth,
    Train,
)
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.compress.quantize.statistics import TensorStatistics
from pocketfit.compress.quantize.units import resolve
from pocketfit.compress.training.loop import Learn, learn
from pocketfit.data.dataset import Dataset
from pocketfit.errors import OptionError
from pocketfit.graph.running import run_graph
from pocketfit.models.store import restore, save
from pocketfit.rows import apart
from pocketfit.stages import Stage, Stages
from pocketfit.store import key_of
from pocketfit.types import LoadedModel, Samples, Scheme, Score, Variant
from pocketfit.verify.answers import answers
from pocketfit.verify.judging import lost
from pocketfit.verify.metrics import TOP_1, Metric

__all__ = ["HeldOut", "Rescue", "Rescuer", "recipe_for"]

# Shares of the cost of a float model that mixed precision may spend, tried in this order.
SHARES = (0.02, 0.05, 0.1, 0.2)
# Numbers in the inputs of a batch, such as ten photographs of 224 x 224.
AT_ONCE = 1_500_000


@dataclass(frozen=True)
class Rescue:
    """What is asked of the ladder.

    Args:
        target: where it ends.
        recipe: of the first draft; what it spares stays spared.
        spare: node names and module paths that the user wants in float.
        dynamic: whether linear layers take the range of their input from each sample at run time.
        per: what mixed precision saves, bytes of the file or latency.
        training: of everything, when all else was not enough; None for none.
        learn: where the training takes place.
        training_data: what `load_data` takes, all of whose samples are learnt from; None for the calibration samples.
        steps: None for all of them.
    """

    target: Target = field(default_factory=Target)
    recipe: Recipe = field(default_factory=Recipe)
    spare: frozenset[str] = frozenset()
    dynamic: bool = False
    per: Literal["size", "latency"] = "size"
    training: TrainingRecipe | None = None
    learn: Learn = learn
    training_data: str | None = None
    steps: tuple[Step, ...] | None = None

    def all_steps(self) -> tuple[Step, ...]:
        """The steps to try, in order."""
        if self.steps is not None:
            return self.steps
        repairs: list[Step] = [Equalize(), Smooth(), CorrectBiases()]
        if self.recipe.levels is Levels.LINEAR:  # rounding of another kind would leave the powers of two
            repairs += [Reconstruct(), AdaptRounding()]
        # Float between layers costs time and no byte.
        mixes: list[Step] = [FloatBetween()] if self.per == "size" else []
        mixes += [MixPrecision(share, self.per) for share in SHARES]
        training = [] if self.training is None else [Train(self.training, self.learn)]
        return (ChooseRanges(), *repairs, *mixes, *training)


def recipe_for(model: LoadedModel, rescue: Rescue) -> Recipe:
    """The recipe with the names of the model's own nodes in it.

    Raises:
        OptionError: a name in `rescue.spare` that the model does not have.
    """
    nodes, unknown = resolve(model, rescue.spare)
    if unknown:
        raise OptionError(
            f"the model has no layer or module called {', '.join(unknown)}. `pocketfit inspect` lists them."
        )
    layers = [node for node in model.graph.graph.nodes if is_layer(node)]
    spared = nodes & {node.name for node in layers}
    linear = {node.name for node in layers if "linear" in str(node.target)} if rescue.dynamic else set()
    recipe = rescue.recipe
    return replace(
        recipe,
        keep_float=recipe.keep_float | (nodes - spared),
        half=recipe.half | spared,
        dynamic=recipe.dynamic | (linear - spared),
    )


@dataclass(frozen=True)
class HeldOut:
    """What drafts are judged on.

    Args:
        batches: gives the samples in batches, as often as it is asked.
        floats: what the float model answers, float32 N×….
    """

    batches: Callable[[], Iterable[np.ndarray]]
    floats: np.ndarray


class Rescuer:
    """Climbs the ladder for one model.

    Args:
        stages: keep every draft.
        model: the float model.
        data: its samples.
        calibration: its calibration samples in batches, float32 in the model's layout.
        held_out: its evaluation samples and the float model's answers to them.
        schemes: in which the result must hold.
        versions: that a stored draft depends on.
        training: samples to learn from; None for the calibration samples.
        metric: what drafts are judged by where samples have labels.
    """

    def __init__(
        self,
        stages: Stages,
        model: LoadedModel,
        data: Dataset,
        calibration: list[np.ndarray],
        held_out: HeldOut,
        schemes: tuple[Scheme, ...],
        versions: Mapping[str, str],
        training: Samples | None = None,
        metric: Metric = TOP_1,
    ) -> None:
        self.stages = stages
        self.model = model
        self.data = data
        self.schemes = schemes
        self.held_out = held_out
        self.versions = dict(versions)
        self.training = training
        self.metric = metric
        self._statistics: dict[str, dict[str, TensorStatistics]] = {}
        self._stage: Stage | None = None
        self._samples = calibration
        self._judged = _fewer(calibration) if model.dynamic_batch else calibration

    @cached_property
    def _calibration_floats(self) -> np.ndarray:
        """Not needed by a run that finds every draft in the store."""
        return run_graph(self.model.graph, self._samples)

    def climb(self, rescue: Rescue) -> Ladder:
        """Climb until the target is met.

        Raises:
            OptionError: a name in `rescue.spare` that the model does not have.
        """
        recipe = recipe_for(self.model, rescue)
        bench = Bench(
            model=self.model,
            samples=self._samples,
            schemes=self.schemes,
            statistics=self.statistics,
            loss=self.loss,
            data_fingerprint=self.data.calibration.fingerprint,
            training=self.training or self.data.calibration,
            checkpoints=self._checkpoints(),
            progress=self._report,
        )
        return climb(
            bench,
            lambda: draw(bench, self.model, recipe),
            rescue.all_steps(),
            rescue.target,
            lambda name, start, build: self._scored(name, start, build, rescue, recipe),
        )

    def statistics(self, model: LoadedModel) -> Mapping[str, TensorStatistics]:
        """Of a model's tensors on the calibration samples."""
        if model.fingerprint not in self._statistics:
            self._statistics[model.fingerprint] = calibrate(model.graph, self._samples, place(model.graph).tensors)
        return self._statistics[model.fingerprint]

    def loss(self, variant: Variant) -> float:
        """Divergence on the calibration samples, the worst of the schemes."""
        answers = (simulate(variant.model, variant.plan, scheme, self._judged) for scheme in self.schemes)
        return max(divergence(one, self._calibration_floats, self.model.outputs) for one in answers)

    def score(self, variant: Variant) -> Score:
        """How it answers the held-out samples, the worst of the schemes."""
        scores = [self._score(variant, scheme) for scheme in self.schemes]
        drops = [score.drop_points for score in scores if score.drop_points is not None]
        return Score(
            drop_points=max(drops, default=None),
            agreement=min(score.agreement for score in scores),
            sqnr_db=min(score.sqnr_db for score in scores),
            divergence=max(score.divergence for score in scores),
            samples=scores[0].samples,
        )

    def _score(self, variant: Variant, scheme: Scheme) -> Score:
        floats, specs = self.held_out.floats, self.model.outputs
        outputs = simulate(variant.model, variant.plan, scheme, self.held_out.batches())
        labels = self.data.evaluation.labels
        given, float_given = apart(outputs, specs), apart(floats, specs)
        return Score(
            drop_points=None if labels is None else lost(self.metric, given, float_given, labels),
            agreement=float(np.mean(answers(given[0]) == answers(float_given[0]))),
            sqnr_db=answers_sqnr_db(outputs, floats, specs),
            divergence=divergence(outputs, floats, specs),
            samples=len(outputs),
        )

    def _checkpoints(self) -> Path:
        folder = self.stages.store.root / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _report(self, done: int, total: int) -> None:
        if self._stage is not None:
            self._stage.report(done, total)

    def _scored(
        self, name: str, start: Draft | None, build: Callable[[], Draft | None], rescue: Rescue, recipe: Recipe
    ) -> tuple[Draft, Score] | None:
        step = next((repr(one) for one in rescue.all_steps() if one.name == name), name)
        key = key_of(
            {
                "step": step,
                "start": _describe(start) if start is not None else [self.model.fingerprint, _plain(recipe)],
                "calibration": self.data.calibration.fingerprint,
                "evaluation": self.data.evaluation.fingerprint,
                "schemes": list(self.schemes),
                "training": None if self.training is None else self.training.fingerprint,
                "versions": self.versions,
                "metric": self.metric.fingerprint,
            }
        )

        def work(out: Path, stage: Stage) -> None:
            self._stage = stage
            draft = build()
            if draft is None:
                (out / "nothing").touch()
                return
            _save(draft, out)
            (out / "score.json").write_bytes(_SCORE.dump_json((self.score(draft.variant),)))

        folder = self.stages.stored(f"rescue {name}", key, work, kind="rescue")
        if (folder / "nothing").exists():
            return None
        return _load(folder), _SCORE.validate_json((folder / "score.json").read_bytes())[0]


# Outputs that are the float model's own have an infinite SQNR, broken ones an infinite divergence.
_SCORE = TypeAdapter(tuple[Score], config=ConfigDict(ser_json_inf_nan="constants"))
_RECIPE = TypeAdapter(Recipe)


def _fewer(samples: list[np.ndarray]) -> list[np.ndarray]:
    """All in one batch, where that is not too much at once: between ops a small batch leaves a CPU idle."""
    return [np.concatenate(samples)] if sum(batch.size for batch in samples) <= AT_ONCE else samples


def _plain(recipe: Recipe) -> dict[str, object]:
    """The same in every process: sets have no order."""
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in vars(recipe).items()}


def _describe(draft: Draft) -> list[object]:
    variant = draft.variant
    return [draft.base.fingerprint, variant.model.fingerprint, plan_to_json(variant.plan), _plain(draft.recipe)]


def _save(draft: Draft, folder: Path) -> None:
    for name, model in (("base", draft.base), ("model", draft.variant.model)):
        (folder / name).mkdir()
        save(model, folder / name)
    (folder / "plan.json").write_text(plan_to_json(draft.variant.plan))
    (folder / "recipe.json").write_bytes(_RECIPE.dump_json(draft.recipe))
    (folder / "notes.json").write_text(json.dumps(draft.notes))


def _load(folder: Path) -> Draft:
    variant = Variant(restore(folder / "model"), plan_from_json((folder / "plan.json").read_bytes()))
    return Draft(
        recipe=_RECIPE.validate_json((folder / "recipe.json").read_bytes()),
        base=restore(folder / "base"),
        variant=variant,
        notes=tuple(json.loads((folder / "notes.json").read_text())),
    )

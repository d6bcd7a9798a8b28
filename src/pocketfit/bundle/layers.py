"""Find, in each of a bundle's artifacts, the first layer that does something else than its plan says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketfit.bundle.manifest import ArtifactEntry
from pocketfit.bundle.read import Bundle, read_bundle
from pocketfit.bundle.verify import Outcome, select_entries, why_not_here
from pocketfit.errors import InputError, ModelError, PocketfitError
from pocketfit.runtimes import get_runtime
from pocketfit.store import Store, key_of
from pocketfit.types import LoadedModel, Precision, QuantizationPlan, Samples, Traceable
from pocketfit.verify.layers import Trace, trace_in_child
from pocketfit.verify.run import store_inputs

__all__ = ["LayerCheck", "verify_layers"]

# So much of a fingerprint tells two models apart.
SHOWN = 12


@dataclass(frozen=True)
class LayerCheck:
    """One artifact of the bundle, layer by layer.

    Args:
        runtime: name of the runtime.
        precision: of the artifact.
        outcome: failed where a layer does something else than the plan says, or the runtime could not be run.
        trace: its layers; None when it was not run.
        reason: why it was skipped or failed; empty when it passed.
    """

    runtime: str
    precision: Precision
    outcome: Outcome
    trace: Trace | None = None
    reason: str = ""


def verify_layers(
    path: Path,
    model: LoadedModel,
    store: Store,
    *,
    runtimes: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[LayerCheck, ...]:
    """Check every file, then compare every artifact with its plan's simulation, layer by layer, in a child process.

    Args:
        path: the bundle's folder.
        model: the float model that the bundle was made from.
        store: of the run that made it; models whose weights were changed on the way to a plan lie there.
        runtimes: names of the runtimes to look into; None for all in the bundle.
        progress: called with the name of each artifact before it is run.

    Raises:
        ModelError: the bundle was made from another model.
        InputError: there is no bundle, its manifest is not valid, or the model of a plan is not in the store.
        OptionError: a runtime that the bundle does not have.
        VerificationFailed: a file is missing or not the one that was written.
    """
    bundle = read_bundle(path)
    entries = select_entries(bundle, runtimes)
    _check_model(bundle, model)
    with tempfile.TemporaryDirectory(prefix="pocketfit-layers-") as folder:
        look = _Look(bundle, model, store, Path(folder))
        return tuple(look.at(entry, progress) for entry in entries)


def _check_model(bundle: Bundle, model: LoadedModel) -> None:
    made_from = bundle.manifest.model
    if model.fingerprint != made_from.fingerprint:
        raise ModelError(
            f"{model.source} has the fingerprint {model.fingerprint[:SHOWN]}, but the bundle {bundle.path} was made "
            f"from {made_from.source} with {made_from.fingerprint[:SHOWN]}. Give the model, weights and input shape "
            f"that `pocketfit fit` was given, with torch {bundle.manifest.versions.get('torch', 'as it was then')}."
        )


class _Look:
    """Looks into the artifacts of one bundle; what their child processes need lies in `folder`."""

    def __init__(self, bundle: Bundle, model: LoadedModel, store: Store, folder: Path) -> None:
        from pocketfit.models.store import save

        self.bundle = bundle
        self.model = model
        self.store = store
        self.folder = folder
        store_inputs(Samples(bundle.golden_inputs(), labels=None, preprocess=None), folder)
        save(model, folder)

    def at(self, entry: ArtifactEntry, progress: Callable[[str], None] | None) -> LayerCheck:
        reason = why_not_here(entry.runtime) or _why_not_shown(entry.runtime)
        if reason:
            return LayerCheck(entry.runtime, entry.precision, Outcome.SKIPPED, reason=reason)
        if progress is not None:
            progress(entry.title)
        plan = self.bundle.path / self.bundle.manifest.plans[entry.precision]
        try:
            trace = trace_in_child(self.bundle.artifact(entry), self.model_of(plan), plan, self.folder)
        except InputError:
            raise  # what was handed over is at fault, not the artifact
        except PocketfitError as error:
            return LayerCheck(entry.runtime, entry.precision, Outcome.FAILED, reason=str(error))
        return _judge(entry, trace)

    def model_of(self, plan: Path) -> Path:
        """The folder of the model that a plan belongs to."""
        fingerprint = _read_plan(plan).model_fingerprint
        if fingerprint == self.model.fingerprint:
            return self.folder
        found = self.store.find("model", key_of({"fingerprint": fingerprint}))
        if found is None:
            raise InputError(
                f"{plan} belongs to weights that were changed on the way to it (fingerprint {fingerprint[:SHOWN]}); "
                f"they are not among the stages stored in {self.store.root}. Name the cache folder of the run that "
                "wrote the bundle with --cache, or run it again."
            )
        return found


def _read_plan(path: Path) -> QuantizationPlan:
    from pocketfit.compress.quantize.plan import plan_from_json

    return plan_from_json(path.read_bytes())


def _why_not_shown(name: str) -> str:
    return "" if isinstance(get_runtime(name), Traceable) else f"{name} does not show the tensors inside an artifact"


def _judge(entry: ArtifactEntry, trace: Trace) -> LayerCheck:
    first = trace.first
    if first is None:
        return LayerCheck(entry.runtime, entry.precision, Outcome.PASSED, trace)
    where = f"{first.name} ({first.source})" if first.source else first.name
    reason = f"the first layer that does something else than the plan says is {where}"
    return LayerCheck(entry.runtime, entry.precision, Outcome.FAILED, trace, reason)

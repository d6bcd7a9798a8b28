"""Where an artifact leaves its plan: its tensors, layer by layer, beside those of the plan's simulation.

Artifact, model, plan, samples ─trace_in_child→ Trace: a row per layer, and the first that does something else
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pocketfit.runtimes.isolate import call
from pocketfit.runtimes.work import artifact_to_json
from pocketfit.types import Artifact

__all__ = ["LayerMatch", "Trace", "trace_in_child"]

# One sample through the simulation and through the runtime, a handful to choose it from.
TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class LayerMatch:
    """One node of the canonical graph, with the activation fused into it, and the artifact's tensor that is its result.

    Args:
        name: node name in the canonical graph.
        op: aten name.
        source: dotted module path in the user's model, where it is known.
        tensor: its name in the artifact, or that of the one most like it; empty where none has as many values.
        sqnr_db: what the plan's simulation gives against its difference from that tensor, in decibel.
        max_error: largest absolute difference.
        same: whether the two differ by no more than roundings do. The node is computed from the artifact's own tensors
            before it, so its row says what this layer alone does, up to the first that is not the same.
    """

    name: str
    op: str
    source: str
    tensor: str
    sqnr_db: float
    max_error: float
    same: bool


@dataclass(frozen=True)
class Trace:
    """An artifact's layers on one sample.

    Args:
        sample: index of the sample, the one of those given whose answer is furthest off.
        answer_db: SQNR of that answer as the artifact is deployed, all optimisations on, against the simulation's.
        layers: in graph order; what the converter fused away has no row.
    """

    sample: int
    answer_db: float
    layers: tuple[LayerMatch, ...]

    @property
    def first(self) -> LayerMatch | None:
        """The first layer that does something else than the plan says, or None."""
        return next((layer for layer in self.layers if not layer.same), None)

    @property
    def worst(self) -> LayerMatch | None:
        """The layer with the lowest SQNR, or None where there is no layer."""
        return min(self.layers, key=lambda layer: layer.sqnr_db, default=None)


def trace_in_child(
    artifact: Artifact, model: Path, plan: Path, inputs: Path, *, timeout_s: float = TIMEOUT_S, log: Path | None = None
) -> Trace:
    """Compare layer by layer in a child process.

    Args:
        artifact: of a runtime that is `Traceable`.
        model: folder written by `pocketfit.models.store.save`; the model that the plan belongs to.
        plan: JSON file of the plan; what the runtime cannot express of it is left out as it was in converting.
        inputs: folder written by `pocketfit.verify.run.store_inputs`.
        timeout_s: wall-clock seconds.
        log: receives what the runtime prints.

    Raises:
        RuntimeMissing: the runtime's packages are not installed.
        IsolationError: the runtime crashed, hung or raised.
    """
    arguments = {
        "artifact": artifact_to_json(artifact),
        "folder": artifact.files[0].parent,
        "model": model,
        "plan": plan,
        "inputs": inputs,
    }
    result = call("pocketfit.verify.layers_work:trace_artifact", arguments, timeout_s=timeout_s, log=log)
    return Trace(result["sample"], result["answer_db"], tuple(LayerMatch(**layer) for layer in result["layers"]))

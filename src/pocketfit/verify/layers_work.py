"""The child's part of comparing layers: the artifact in its runtime, the plan in torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from pocketfit.compress.quantize.express import expressible
from pocketfit.compress.quantize.plan import plan_from_json
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.data.preprocess import batches
from pocketfit.errors import OptionError
from pocketfit.models.store import restore
from pocketfit.rows import apart, together
from pocketfit.runtimes import get_runtime, require
from pocketfit.runtimes.work import artifact_from_json
from pocketfit.types import Artifact, Parity, Precision, Runtime, Samples, Scheme, Traceable, Variant
from pocketfit.verify.layers import Trace
from pocketfit.verify.parity import compare_outputs
from pocketfit.verify.replay import replay
from pocketfit.verify.run import load_inputs

__all__ = ["trace", "trace_artifact"]


def trace_artifact(
    artifact: Mapping[str, object], folder: str, model: str, plan: str, inputs: str
) -> dict[str, object]:
    """See `pocketfit.verify.layers.trace_in_child`."""
    opened = artifact_from_json(artifact, Path(folder))
    variant = Variant(restore(Path(model)), plan_from_json(Path(plan).read_bytes()))
    values, spec = load_inputs(Path(inputs))
    return asdict(trace(opened, variant, list(batches(Samples(values, None, spec), 1))))


def trace(artifact: Artifact, variant: Variant, samples: Sequence[np.ndarray]) -> Trace:
    """Compare layer by layer, in this process.

    Args:
        artifact: of a runtime that is `Traceable`.
        variant: the model and the plan that the artifact was made from.
        samples: float32, each with batch 1.

    Raises:
        OptionError: the runtime does not show its tensors.
    """
    runtime = get_runtime(artifact.runtime)
    require(runtime)
    if not isinstance(runtime, Traceable):
        raise OptionError(f"{artifact.runtime} does not show the tensors inside an artifact. Leave it out of --layers.")
    plan, _ = expressible(variant.plan, variant.model, runtime.info)
    variant = Variant(variant.model, plan)
    scheme = artifact.scheme if plan.precision is Precision.INT8 else Scheme.AFFINE
    answers = _answers(runtime, artifact, variant, scheme, samples)
    chosen = min(range(len(samples)), key=lambda index: answers[index].sqnr_db)
    with torch.no_grad():
        layers = replay(variant, scheme, samples[chosen], list(runtime.tensors(artifact, samples[chosen])))
    return Trace(chosen, answers[chosen].sqnr_db, layers)


def _answers(
    runtime: Runtime, artifact: Artifact, variant: Variant, scheme: Scheme, samples: Sequence[np.ndarray]
) -> list[Parity]:
    """How each answer compares with the simulation's."""
    session = runtime.open(artifact)
    expected = simulate(variant.model, variant.plan, scheme, samples)
    got = [together(session.run(apart(sample, artifact.inputs))) for sample in samples]
    return [
        compare_outputs(one.reshape(1, -1), wanted.reshape(1, -1), variant.model.outputs)
        for one, wanted in zip(got, expected, strict=True)
    ]

"""What the graph passes save beyond the runtimes' own optimisers: ops in the file that runs, and latency.

    raw export ─────────────→ converter ─→ A    what the runtime's own optimisers reach
    raw export ─→ onnxslim ─→ ONNX Runtime ─→ B
    raw export ─→ our passes → converter ─→ C

A, B and C of a network are timed in turns in one process, so that whatever else the machine does befalls all alike;
`latency_ratio` is the median of B or C over that of A. Where its memory lies makes a session some percent faster or
slower: all are opened several times, in changing order, and A as two sessions, whose ratio is `noise`. Networks have
random weights, images are small.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.architectures import Architecture, architecture
from benchmarks.architectures.randomise import random_network
from benchmarks.results import Row
from pocketfit.compress.quantize.plan import float_plan
from pocketfit.models.canonical import canonicalise, prepare
from pocketfit.models.export import raw_graph
from pocketfit.runtimes import get_runtime
from pocketfit.types import Artifact, LoadedModel, Precision, Session, Variant
from pocketfit.verify.parity import compare

NETWORKS = (
    "mobilenetv2_050",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small_050",
    "efficientnet_lite0",
    "mnasnet_small",
    "lcnet_050",
    "ghostnet_050",
    "repghostnet_050",
    "mobileone_s0",
    "resnet18",
    "repvgg_a0",
    "regnety_002",
    "resnetv2_18",
    "vgg11_bn",
    "darknet17",
    "convnext_atto",
    "poolformer_s12",
    "starnet_s050",
    "efficientformer_l1",
    "fastvit_t8",
    "repvit_m0_9",
    "vit_tiny_patch16_224",
    "unet_bilinear",
)
RUNTIMES = ("onnxruntime", "litert", "ncnn")
# A session is opened so often, and run so often each time.
SITTINGS, ROUNDS = 9, 9
_AGAIN = "again"
# Float32 networks that compute the same; sums are taken in another order.
COSINE = 0.9999


def run() -> Iterator[Row]:
    """One row per network, runtime and tool; `tool` "runtime" is the runtime's own optimiser alone."""
    for name in NETWORKS:
        subject = architecture(name)
        raw, ours = _models(subject)
        for runtime in RUNTIMES:
            yield from _rows(subject, runtime, raw, ours)


def _models(subject: Architecture) -> tuple[LoadedModel, LoadedModel]:
    """The network as it was exported, and in canonical form."""
    module = random_network(subject)
    prepare(module)
    example = torch.randn(1, *subject.input_shape, generator=torch.Generator().manual_seed(0))
    raw = raw_graph(module, (example,), dynamic_batch=False)
    ours = canonicalise(module, subject.input_shape, name=subject.name)
    return replace(ours, graph=raw, dynamic_batch=False), ours


def _rows(subject: Architecture, runtime: str, raw: LoadedModel, ours: LoadedModel) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        artifacts: dict[str, Artifact] = {}
        row: Row = {"model": subject.name, "runtime": runtime}
        for tool, model in (("runtime", raw), ("pocketfit", ours)):
            out = Path(folder) / tool
            out.mkdir()
            try:
                variant = Variant(model, float_plan(model, Precision.FLOAT32))
                artifacts[tool] = get_runtime(runtime).convert(variant, out)
            except Exception as error:  # what the runtime alone cannot take is a result, too
                yield row | {"tool": tool, "failure": str(error).splitlines()[0]}
        if runtime == "onnxruntime" and "runtime" in artifacts:
            artifacts["onnxslim"] = _slimmed(artifacts["runtime"], Path(folder) / "onnxslim")
        yield from (row | one for one in _measured(runtime, artifacts))


def _slimmed(artifact: Artifact, out: Path) -> Artifact:
    import onnxslim

    out.mkdir()
    path = out / "model.onnx"
    onnxslim.slim(str(artifact.files[0]), str(path))
    return replace(artifact, files=(path,))


def _measured(runtime: str, artifacts: Mapping[str, Artifact]) -> Iterator[Row]:
    if not artifacts:
        return
    base, *_ = artifacts
    shape = artifacts[base].input.shape
    sample = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    sessions = {tool: get_runtime(runtime).open(artifact) for tool, artifact in artifacts.items()}
    answers = {tool: session.run([sample])[0] for tool, session in sessions.items()}
    ops = {tool: _ops(runtime, sessions[tool], artifacts[tool]) for tool in sessions}
    times = _times(runtime, {**artifacts, _AGAIN: artifacts[base]}, sample)
    ratios = {tool: float(np.median(times[tool]) / np.median(times[base])) for tool in times}
    for tool in artifacts:
        assert compare(answers[tool], answers[base]).cosine >= COSINE
        yield {
            "tool": tool,
            "ops_before": ops[base],
            "ops_after": ops[tool],
            "latency_ratio": ratios[tool],
            "noise": abs(ratios[_AGAIN] - 1),
            "latency_ms": float(np.median(times[tool])) * 1e3,
            "rounds": SITTINGS * ROUNDS,
            **({"transposes": _transposes(artifacts[tool])} if runtime == "litert" else {}),
        }


def _times(runtime: str, artifacts: Mapping[str, Artifact], sample: np.ndarray) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {tool: [] for tool in artifacts}
    order = list(artifacts)
    for _ in range(SITTINGS):
        order.append(order.pop(0))
        sessions = {tool: get_runtime(runtime).open(artifacts[tool]) for tool in order}
        for session in sessions.values():
            session.run([sample])
        _in_turns(sessions, sample, times)
    return times


def _in_turns(sessions: Mapping[str, Session], sample: np.ndarray, times: dict[str, list[float]]) -> None:
    order = list(sessions.items())
    for _ in range(ROUNDS):
        order.append(order.pop(0))  # whoever runs behind an equal finds warmer caches
        for tool, session in order:
            start = time.perf_counter()
            session.run([sample])
            times[tool].append(time.perf_counter() - start)


def _ops(runtime: str, session: Any, artifact: Artifact) -> int:
    """Ops that are executed: after ONNX Runtime's own fusing, in LiteRT's file, in ncnn's."""
    if runtime == "onnxruntime":
        return int(session._optimised_ops().total())
    if runtime == "litert":
        return len(_litert_ops(artifact))
    param = next(path for path in artifact.files if path.suffix == ".param")
    return int(param.read_text().splitlines()[1].split()[0])


def _transposes(artifact: Artifact) -> int:
    """Tensors that are written anew in another order, the input among them, which comes with its channels first."""
    return _litert_ops(artifact).count("TRANSPOSE")


def _litert_ops(artifact: Artifact) -> list[str]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(artifact.files[0]), experimental_op_resolver_type=resolver)
    return [str(op["op_name"]) for op in interpreter._get_ops_details()]

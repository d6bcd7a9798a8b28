"""Files that take pixels as uint8: fed as an app feeds them, and through a session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import float_plan, int8_plan
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.contract import Contract
from pocketfit.models.canonical import canonicalise
from pocketfit.models.source import Source
from pocketfit.models.with_preprocessing import with_preprocessing
from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.pixels import INPUT_TYPE, UINT8
from pocketfit.types import Artifact, LoadedModel, Precision, QuantizationPlan, Scheme, Variant

pytestmark = pytest.mark.slow

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
    contract = Contract(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    inside = with_preprocessing(Source(net, "net", (3, 8, 8)), contract)
    assert inside.input_shape is not None
    return canonicalise(inside.module, inside.input_shape, name="net")


def plan_of(model: LoadedModel, precision: Precision) -> QuantizationPlan:
    if precision is not Precision.INT8:
        return float_plan(model, precision)
    statistics = calibrate(model.graph, [PIXELS.astype(np.float32)], place(model.graph).tensors)
    return int8_plan(model, statistics, data_fingerprint="", samples=len(PIXELS))


def as_an_app(artifact: Artifact, image: np.ndarray) -> np.ndarray:
    """One uint8 image of batch 1 through the runtime's own interface."""
    if artifact.runtime == "onnxruntime":
        session = onnxruntime.InferenceSession(artifact.files[0], providers=["CPUExecutionProvider"])
        answer: np.ndarray = session.run(None, {artifact.input.name: image})[0]
        return answer
    interpreter = Interpreter(str(artifact.files[0]))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    output = interpreter.get_output_details()[0]
    raw = interpreter.get_tensor(output["index"]).astype(np.float32)
    scale, zero_point = output["quantization"]
    return (raw - zero_point) * scale if scale else raw


@pytest.mark.parametrize(
    ("runtime", "precision"),
    [
        ("onnxruntime", Precision.FLOAT32),
        ("onnxruntime", Precision.INT8),
        ("litert", Precision.FLOAT16),
        ("litert", Precision.INT8),
    ],
)
def test_a_file_takes_pixels(model: LoadedModel, runtime: str, precision: Precision, tmp_path: Path) -> None:
    plan = plan_of(model, precision)
    made = get_runtime(runtime)
    artifact = made.convert(Variant(model, plan, {INPUT_TYPE: UINT8}), tmp_path)
    assert (artifact.input.dtype, artifact.input.shape, artifact.options[INPUT_TYPE]) == ("uint8", (1, 8, 8, 3), UINT8)
    expected = simulate(model, plan, Scheme.AFFINE, [PIXELS.astype(np.float32)])
    session = made.open(artifact)
    through = np.concatenate([session.run([image[None].astype(np.float32)])[0] for image in PIXELS])
    app = np.concatenate([as_an_app(artifact, image[None]) for image in PIXELS])
    # Float sums in another order; INT8 kernels and the simulation round alike, so a step would be seen.
    np.testing.assert_allclose(through, expected, atol=1e-5)
    np.testing.assert_allclose(app, through, atol=1e-6)


def test_a_file_that_is_not_asked_takes_floats(model: LoadedModel, tmp_path: Path) -> None:
    artifact = get_runtime("onnxruntime").convert(Variant(model, plan_of(model, Precision.FLOAT32)), tmp_path)
    assert (artifact.input.dtype, artifact.options[INPUT_TYPE]) == ("float32", "float32")

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from pocketfit.types import Artifact, Precision, Scheme, TensorSpec


@dataclass(frozen=True)
class Digits:
    """A linear classifier of scikit-learn's digits as an ONNX Runtime artifact, with what it was tested on."""

    artifact: Artifact
    images: np.ndarray
    labels: np.ndarray
    logits: np.ndarray


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    x, y = load_digits(return_X_y=True)
    images, labels = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8), y.astype(np.int64)
    fitted = LogisticRegression(max_iter=200).fit(x[:600] / 16, y[:600])
    weight, bias = fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32)
    artifact = write_linear(tmp_path_factory.mktemp("digits"), weight, bias)
    held_out = images[600:700]
    return Digits(artifact, held_out, labels[600:700], held_out.reshape(100, -1) @ weight.T + bias)


def write_linear(folder: Path, weight: np.ndarray, bias: np.ndarray) -> Artifact:
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"], transB=1),
        ],
        "linear",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(bias)])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return Artifact(
        runtime="onnxruntime",
        precision=Precision.FLOAT32,
        scheme=Scheme.AFFINE,
        files=(path,),
        input=TensorSpec("image", (1, 1, 8, 8)),
        output=TensorSpec("logits", (1, len(bias))),
    )

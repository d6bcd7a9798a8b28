"""The cores compiled once for all tests; what is not installed here is skipped with its name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketfit.apps.selftest import TARGETS, SelfTest, build
from pocketfit.bundle import Bundle, Contents, read_bundle, write_bundle
from pocketfit.contract import Contract
from pocketfit.errors import RuntimeMissing
from pocketfit.types import Artifact, Candidate, Precision, Scheme, TensorSpec


@pytest.fixture(scope="session", params=TARGETS, ids=lambda target: target.name)
def selftest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SelfTest:
    try:
        return build(request.param, tmp_path_factory.mktemp("selftest"))
    except RuntimeMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Bundle]:
    """Writes a bundle that follows a contract; its one artifact is no real model, which nothing here opens."""

    def write(contract: Contract, input_shape: tuple[int, ...], classes: tuple[str, ...] = ()) -> Bundle:
        model = tmp_path / "model.onnx"
        model.write_bytes(b"no real model")
        input, output = TensorSpec("image", (1, *input_shape)), TensorSpec("scores", (1, 12))
        kind = ("onnxruntime", Precision.INT8)
        artifact = Artifact(
            kind[0], kind[1], Scheme.AFFINE, files=(model,), input=input, output=output, notes=(), options={}
        )
        contents = Contents(
            model="net",
            source="net.py:build",
            fingerprint="f" * 64,
            input=input,
            output=output,
            candidates=(Candidate(*kind, artifact),),
            chosen=frozenset({kind}),
            plans={},
            golden_inputs=np.zeros((1, *input_shape), np.float32),
            golden_outputs={kind: np.zeros((1, 12), np.float32)},
            tolerances={kind: 0.0},
            preprocess=contract,
            classes=classes,
        )
        return read_bundle(write_bundle(contents, tmp_path / "bundle"))

    return write

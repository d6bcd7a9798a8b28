"""An INT8 `.tflite` model with floats at its ends, as LiteRT's build for browsers needs it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pocketfit.rows import apart
from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.litert_ends import on_grid, quantized, with_float_ends
from pocketfit.testing import Artifacts, case_of
from pocketfit.testing.models import Mixed, ThreeInputs, TwoHeads
from pocketfit.types import Artifact, Precision

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def artifacts(artifacts_of: dict[str, Artifacts]) -> Artifacts:
    return artifacts_of["litert"]


def rewritten(artifact: Artifact, folder: Path) -> Artifact:
    (folder / "model.tflite").write_bytes(with_float_ends(artifact.files[0].read_bytes()))
    return replace(artifact, files=(folder / "model.tflite",))


@pytest.mark.parametrize("kind", [Mixed, TwoHeads, ThreeInputs], ids=lambda kind: kind.__name__)
def test_answers_are_the_same(artifacts: Artifacts, kind: type[Mixed], tmp_path: Path) -> None:
    artifact, case = artifacts.get(kind, Precision.INT8), case_of(kind)
    runtime = get_runtime("litert")
    with_floats = rewritten(artifact, tmp_path)
    before, after = runtime.open(artifact), runtime.open(with_floats)
    for sample in case.samples:
        given = apart(sample[None], case.model.inputs)
        floats = on_grid(artifact.files[0].read_bytes(), given)
        for one, other in zip(before.run(given), after.run(floats), strict=True):
            # The same integers: a restored answer differs by the last place of float32 at most.
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6 * float(np.abs(one).max()))


@pytest.mark.parametrize("kind", [Mixed, TwoHeads, ThreeInputs], ids=lambda kind: kind.__name__)
def test_ends_are_floats_under_their_names(artifacts: Artifacts, kind: type[Mixed], tmp_path: Path) -> None:
    artifact = artifacts.get(kind, Precision.INT8)
    before, after = (Interpreter(str(one.files[0])) for one in (artifact, rewritten(artifact, tmp_path)))
    for end in ("get_input_details", "get_output_details"):
        assert all(details["dtype"] is np.float32 for details in getattr(after, end)())
        assert [one["name"] for one in getattr(after, end)()] == [one["name"] for one in getattr(before, end)()]
    assert after.get_signature_list() == before.get_signature_list()


def test_floats_are_left_as_they_are(artifacts: Artifacts) -> None:
    content = artifacts.get(Mixed, Precision.FLOAT32).files[0].read_bytes()
    assert with_float_ends(content) is content


def test_what_lies_between_two_integers_becomes_the_one_that_an_app_feeds(artifacts: Artifacts, tmp_path: Path) -> None:
    """QUANTIZE by itself may take the other."""
    artifact = artifacts.get(Mixed, Precision.INT8)
    content = artifact.files[0].read_bytes()
    (details,) = Interpreter(model_content=content).get_input_details()
    scale, _ = details["quantization"]
    shape = case_of(Mixed).samples.shape[1:]
    between = ((np.arange(np.prod(shape)) % 60 - 30 + 0.5) * np.float32(scale)).astype(np.float32).reshape(1, *shape)
    session = Interpreter(
        str(rewritten(artifact, tmp_path).files[0]),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    session.allocate_tensors()
    session.set_tensor(session.get_input_details()[0]["index"], on_grid(content, [between])[0])
    session.invoke()
    (first,) = [op for op in session._get_ops_details() if op["op_name"] == "QUANTIZE"][:1]
    np.testing.assert_array_equal(session.get_tensor(first["outputs"][0]), quantized(between, details))

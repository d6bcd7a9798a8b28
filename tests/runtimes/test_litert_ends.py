"""An INT8 `.tflite` model with floats at its ends, as LiteRT's build for browsers needs it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from pocketfit.rows import apart
from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.litert_ends import with_float_ends
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
        for one, other in zip(before.run(given), after.run(given), strict=True):
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

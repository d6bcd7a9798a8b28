from __future__ import annotations

import base64
import hashlib
import json

import numpy as np
import pytest

from pocketfit.contract import Color
from pocketfit.contract.inputs import Matrix, PixelFormat, Range, YuvFormat
from pocketfit.contract.spec import Dtype, Layout
from pocketfit.data.contract import Exact, Kernel, contract_from_json, prepare, write_vectors
from pocketfit.data.contract.examples import CONTRACTS, noise

# A definition that apps follow does not change by accident: with another digest goes another `version`.
DIGESTS = {
    "yuv": "6bdea82e0d253ad6",
    "orientation": "153dd0fac46d04f7",
    "resize": "fe26ed1a346a74e8",
    "geometry": "66c78a794db186d0",
    "luma": "e771bcc8a1902a45",
    "tables": "774b07d9eec20226",
    "quantization": "757d45a7c487ef3a",
    "whole": "fbd0765106ca9676",
    "answers": "591428aa74aed707",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return {path.stem: path for path in write_vectors(tmp_path_factory.mktemp("vectors") / "new")}


def array(described):
    return np.frombuffer(base64.b64decode(described["data"]), described["dtype"]).reshape(described["shape"])


@pytest.mark.parametrize("step", DIGESTS)
def test_the_bytes_are_the_same_every_time(files, step):
    assert hashlib.sha256(files[step].read_bytes()).hexdigest()[:16] == DIGESTS[step]


def test_there_is_a_file_for_every_step(files):
    assert list(files) == list(DIGESTS)
    for step, path in files.items():
        content = json.loads(path.read_text(encoding="utf-8"))
        assert (content["version"], content["step"], bool(content["cases"])) == (1, step, True)


def test_the_weights_give_the_pixels(files):
    """As an app would replay it, from the file alone."""
    for case in json.loads(files["resize"].read_text(encoding="utf-8"))["cases"]:
        if case["kernel"] == "bicubic" and case["antialias"]:
            values = array(case["image"]).astype(np.int64)
            for axis, name in ((1, "columns"), (0, "rows")):
                index, weight = (array(part) for part in case[name])
                taken = np.moveaxis(values, axis, 0)[index]
                sums = np.einsum("okxc,ok->oxc", taken, weight.astype(np.int64))
                values = np.moveaxis(np.clip((sums + (1 << 21)) >> 22, 0, 255), 0, axis)
            assert np.array_equal(values, array(case["expected"]))


def test_the_whole_can_be_replayed_from_json(files):
    cases = [
        case for case in json.loads(files["whole"].read_text(encoding="utf-8"))["cases"] if "dtype" in case["image"]
    ]
    assert len(cases) == 8
    for case in cases:
        contract = contract_from_json(json.dumps(case["contract"]))
        found = prepare(array(case["image"]), contract, orientation=case["orientation"])
        assert np.array_equal(found, array(case["expected"]))


def test_every_choice_occurs():
    text = " ".join(map(repr, CONTRACTS.values()))
    for choices in (PixelFormat, YuvFormat, Matrix, Range, Kernel, Color, Layout, Dtype):
        assert [repr(choice) for choice in choices if repr(choice) not in text] == []
    assert Exact.__name__ in text


def test_the_noise_can_be_made_anywhere():
    # 1664525 * 1 + 1013904223 = 1015568748 = 0x3C88596C, and once more 0x5E8885DB.
    assert noise((2,), 1).tolist() == [0x3C, 0x5E]

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from pocketfit.contract import (
    Boxes,
    Classes,
    Color,
    Contract,
    Crop,
    Embedding,
    Exact,
    Kernel,
    Letterbox,
    ShorterSide,
)
from pocketfit.data.contract import prepare
from pocketfit.data.contract.examples import CONTRACTS, noise
from pocketfit.data.contract.geometry import place
from pocketfit.data.contract.own_vectors import own_vectors, replay
from pocketfit.errors import DataError

PHOTO = Contract(resize=ShorterSide(20), crop=Crop((16, 16)), output=Classes(labels=("a", "b", "c")))


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_contract_has_vectors_that_it_reproduces(name: str) -> None:
    contract = CONTRACTS[name]
    image = place(np.zeros((40, 40, 3), np.uint8), contract)
    text = own_vectors(contract, (image.shape[0], image.shape[1]), 3)
    assert replay(text, contract) == (2, ())


@pytest.mark.parametrize(
    "contract",
    [
        replace(PHOTO, resize=ShorterSide(20), crop=Crop((16, 40))),
        replace(PHOTO, resize=ShorterSide(20), crop=Crop((60, 20))),
        replace(PHOTO, resize=Exact((20, 60)), crop=Crop((20, 60))),
        replace(PHOTO, resize=Letterbox((9, 70)), crop=None),
        replace(PHOTO, resize=None),
        replace(PHOTO, resize=None, crop=None),
        replace(PHOTO, orientation=8),
    ],
)
def test_one_picture_is_reduced_and_one_enlarged_whatever_the_shape(contract: Contract) -> None:
    target = contract.resize
    size = contract.crop.size if contract.crop else target.size if target is not None else (16, 16)
    text = own_vectors(contract, size, None)
    assert [case["expected"]["shape"][2:] for case in json.loads(text)["inputs"]] == [list(size)] * 2
    assert replay(text, contract) == (2, ())


def test_a_case_by_hand() -> None:
    case = json.loads(own_vectors(PHOTO, (16, 16), None))["inputs"][0]
    image = noise(tuple(case["noise"]["shape"]), case["noise"]["seed"])
    tensor = prepare(image, PHOTO, orientation=case["orientation"]).astype("<f4").tobytes()
    assert case["expected"]["sha256"] == hashlib.sha256(tensor).hexdigest()
    assert base64.b64decode(case["expected"]["data"]) == tensor[:4096]


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"kernel": Kernel.BICUBIC}, "input 0: pixels and expected"),
        ({"crop": Crop((16, 15))}, "input 1: pixels and expected"),
        ({"color": Color.BGR}, "input 0: expected"),
        ({"std": (0.5,)}, "input 1: expected"),
        ({"output": Classes(softmax=False, labels=("a", "b", "c"))}, "answer 0"),
        ({"output": Classes(labels=("c", "b", "a"))}, "answer 1"),
    ],
)
def test_what_differs_is_named(change, differs: str) -> None:
    count, wrong = replay(own_vectors(PHOTO, (16, 16), 3), replace(PHOTO, **change))
    assert count == 4
    assert any(one.startswith(differs) for one in wrong)


@pytest.mark.parametrize("output", [Embedding(), Boxes(labels=("cat", "dog")), Boxes(normalised=False)])
def test_answers_of_other_kinds(output) -> None:
    contract = replace(PHOTO, output=output)
    text = own_vectors(contract, (16, 16), 8)
    assert json.loads(text)["answers"]
    assert replay(text, contract)[1] == ()


def test_scores_may_differ_in_the_last_bits() -> None:
    content = json.loads(own_vectors(PHOTO, (16, 16), 3))
    content["answers"][0]["expected"][0]["score"] += 1e-6
    assert replay(json.dumps(content), PHOTO)[1] == ()
    content["answers"][0]["expected"][0]["score"] += 1e-4
    assert replay(json.dumps(content), PHOTO)[1] == ("answer 0: differs from what was written",)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"inputs": [{}], "answers": []}'])
def test_what_is_no_vectors_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="Write the bundle again"):
        replay(text, PHOTO)


def test_they_are_small() -> None:
    # A folder of an app should not grow by more than a picture.
    photo = replace(PHOTO, resize=ShorterSide(256), crop=Crop((224, 224)))
    assert len(own_vectors(photo, (224, 224), 1000)) < 40_000

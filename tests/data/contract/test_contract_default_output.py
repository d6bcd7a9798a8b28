from __future__ import annotations

import numpy as np
import pytest

from pocketfit.contract import Boxes, Classes, Contract, Embedding, Task
from pocketfit.data.contract.default_output import with_output
from pocketfit.data.contract.postprocess import softmax

LOGITS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
NAMES = ("a", "b", "c")


def output(contract: Contract = Contract(), asked=None, outputs=LOGITS, labelled=True):  # noqa: B008
    return with_output(contract, asked, outputs, NAMES, labelled=labelled).output


def test_labels_mean_classes_with_their_names() -> None:
    assert output() == Classes(labels=NAMES)


def test_probabilities_get_no_second_softmax() -> None:
    assert output(outputs=softmax(LOGITS).astype(np.float32)) == Classes(softmax=False, labels=NAMES)


def test_without_labels_nothing_is_assumed() -> None:
    assert output(labelled=False) is None
    assert output(outputs=LOGITS[:, :1]) is None
    assert output(outputs=LOGITS[..., None]) is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Task.CLASSES, Classes(labels=NAMES)),
        (Task.BOXES, Boxes(labels=NAMES)),
        (Task.EMBEDDING, Embedding()),
        (Classes(softmax=False, labels=("x",)), Classes(softmax=False, labels=("x",))),
    ],
)
def test_what_is_asked_for_is_taken(asked, expected) -> None:
    assert output(asked=asked, labelled=False) == expected
    assert output(Contract(output=Embedding(normalise=False)), asked) == expected


def test_a_contract_keeps_its_own() -> None:
    assert output(Contract(output=Embedding(normalise=False))) == Embedding(normalise=False)
    assert output(Contract(output=Classes(top_k=1))) == Classes(top_k=1, labels=NAMES)

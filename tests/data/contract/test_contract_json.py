from __future__ import annotations

import json

import pytest

from pocketfit.data.contract import Classes, Contract, Embedding, contract_from_json, contract_to_json
from pocketfit.data.contract.examples import CONTRACTS, DETECTORS
from pocketfit.errors import OptionError

ALL = (
    *CONTRACTS.values(),
    *DETECTORS,
    Contract(output=Classes(labels=("Kätzchen", "dog"))),
    Contract(output=Embedding()),
)


@pytest.mark.parametrize("contract", ALL)
def test_json_gives_back_the_same_contract(contract):
    text = contract_to_json(contract)
    assert contract_from_json(text) == contract
    assert contract_to_json(contract_from_json(text)) == text


def test_json_begins_with_the_version():
    assert next(iter(json.loads(contract_to_json(Contract())).items())) == ("version", 1)


def test_a_person_may_leave_out_what_has_a_default():
    assert contract_from_json('{"version": 1}') == Contract()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid JSON"),
        ("[]", "not valid"),
        ('{"colour": "rgb"}', "at colour: Unexpected keyword"),
        ('{"version": 2}', "at version"),
        ('{"kernel": "lanczos"}', "at kernel: Input should be 'nearest', 'bilinear'"),
        ('{"resize": {"kind": "shorter", "pixels": 3}}', "at resize: .*'shorter_side', 'exact', 'letterbox'"),
        ('{"resize": {"kind": "exact", "size": [3, 3], "fill": 0}}', "at resize.exact.fill"),
        ('{"resize": {"kind": "exact", "size": [3]}}', "at resize.exact.size"),
        ('{"std": [0]}', "std not 0"),
        ('{"mean": [NaN]}', "finite"),
    ],
)
def test_json_that_is_no_contract_is_refused(text, message):
    with pytest.raises(OptionError, match=message):
        contract_from_json(text)

import json
import math

import pytest
from pydantic import ValidationError

from pocketfit.report.summary import as_json, from_json
from pocketfit.types import FitResult, Precision, Scheme


def test_what_is_written_is_read_back_equal(result: FitResult) -> None:
    assert from_json(as_json(result)) == result


def test_it_is_standard_json_in_spite_of_infinities(result: FitResult) -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    parsed = json.loads(as_json(result), parse_constant=refuse)
    assert parsed["candidates"][0]["evidence"]["parity"]["sqnr_db"] == "Infinity"
    back = from_json(as_json(result)).candidates[0].evidence
    assert back is not None
    assert math.isinf(back.parity.sqnr_db)


def test_enumerations_are_their_values_and_come_back_as_such(result: FitResult) -> None:
    parsed = json.loads(as_json(result))
    assert parsed["choices"][0]["precision"] == "int8"
    assert set(parsed["layers"]) == {"affine", "symmetric"}
    back = from_json(as_json(result))
    assert back.choices[0].precision is Precision.INT8
    assert set(back.layers) == {Scheme.AFFINE, Scheme.SYMMETRIC}


def test_equal_results_give_equal_text(result: FitResult) -> None:
    assert as_json(result) == as_json(from_json(as_json(result)))


def test_other_json_is_refused() -> None:
    with pytest.raises(ValidationError):
        from_json('{"model": "x"}')


def test_what_was_not_run_survives_the_trip(not_run: FitResult) -> None:
    text = as_json(not_run)
    assert json.loads(text)["candidates"][-1]["not_run"]["size_bytes"] == 750_000
    assert from_json(text) == not_run

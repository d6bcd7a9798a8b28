from __future__ import annotations

import numpy as np
import pytest

from pocketfit.data import load_data
from pocketfit.data.digits import read_digits
from pocketfit.errors import DataError, OptionError


def load(tmp_path, **options):
    return load_data("digits", **{"preprocess": None, "input_shape": (1, 8, 8), "cache": tmp_path, **options})


def test_a_third_is_held_out(tmp_path):
    data = load(tmp_path)
    assert (len(data.calibration.inputs), len(data.evaluation.inputs)) == (100, 599)
    assert data.calibration.labels is None
    assert data.evaluation.classes == tuple("0123456789")
    assert set(data.evaluation.labels) == set(range(10))
    assert 0 <= data.evaluation.inputs.min() < data.evaluation.inputs.max() == 1


def test_calibration_comes_from_the_training_part(tmp_path):
    digits, data = read_digits(), load(tmp_path, calibration=2000)
    assert np.array_equal(data.calibration.inputs, digits.inputs[list(digits.training)])
    assert np.array_equal(data.evaluation.labels, digits.labels[list(digits.held_out)])


def test_fewer_can_be_asked(tmp_path):
    data = load(tmp_path, calibration=10, evaluation=20)
    assert (len(data.calibration.inputs), len(data.evaluation.inputs)) == (10, 20)


def test_the_same_every_time(tmp_path):
    first, second = load(tmp_path), load(tmp_path)
    assert first.calibration.fingerprint == second.calibration.fingerprint
    assert first.evaluation.fingerprint == second.evaluation.fingerprint != first.calibration.fingerprint


def test_another_model(tmp_path):
    with pytest.raises(DataError, match="1x8x8, the model takes 3x224x224"):
        load(tmp_path, input_shape=(3, 224, 224))


def test_numbers_below_one(tmp_path):
    with pytest.raises(OptionError, match="at least 1"):
        load(tmp_path, evaluation=0)

"""ONNX's own test cases, one call of an operator each, with the answers that the standard gives."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from pocketfit.errors import ModelError
from pocketfit.models.onnx_model.fold import fold
from pocketfit.models.onnx_model.module import OnnxModule
from pocketfit.models.onnx_model.program import Program, program_of
from pocketfit.models.onnx_model.read import widen
from pocketfit.models.onnx_ops import OPERATORS

# Half precision is computed in single here, and its answers are given to three digits.
RELATIVE, ABSOLUTE = 1e-3, 1e-4

# Where the standard and ONNX Runtime, which files are compared with, are not of one mind, or torch may answer as well.
OTHER = {
    "test_resize_downsample_scales_linear_align_corners": "measures by the size before it is rounded",
    "test_resize_downsample_scales_cubic_align_corners": "measures by the size before it is rounded",
    "test_top_k_same_values": "of equal values, the first",
    "test_top_k_same_values_largest": "of equal values, the first",
    "test_top_k_same_values_2d": "of equal values, the first",
}
# What torch's own functions lack.
REFUSED = (
    "test_attention_",
    "test_averagepool_2d_dilations",
    "test_averagepool_3d_dilations",
    "test_batchnorm_example_training_mode",
    "test_batchnorm_epsilon_training_mode",
    "test_cast_",
    "test_castlike_",
    "test_constantofshape_",
    "test_training_dropout",
    "test_lppool_2d_dilations",
    "test_lstm_with_peepholes",
    "test_maxpool_with_argmax",
    "test_onehot_out_of_range_indices",
    "test_reduce_max_empty_set",
    "test_reduce_min_empty_set",
    "test_resize_tf_crop_and_resize_extrapolation_value",
    "test_scatternd_",
)


@pytest.fixture(scope="module")
def cases() -> Mapping[str, list]:
    """By operator, those with one node that is known here and with plain numbers all around."""
    with warnings.catch_warnings():
        # Some cases overflow on purpose.
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    by_operator = defaultdict(list)
    for case in found:
        nodes = case.model.graph.node
        if len(nodes) == 1 and not nodes[0].domain and nodes[0].op_type in OPERATORS and _is_plain(case):
            by_operator[nodes[0].op_type].append(case)
    return by_operator


def _is_plain(case) -> bool:
    given, answers = _values(case)
    kinds = all(isinstance(value, np.ndarray) and value.dtype.kind in "fiub" for value in (*given, *answers))
    return kinds and bool(given) and given[0].ndim > 0


def _values(case) -> tuple[list, list]:
    given, answers = case.data_sets[0]
    return [_value(value) for value in given], [_value(value) for value in answers]


def _value(value: object) -> object:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def _programs(case) -> Iterator[Program]:
    """One for each output; all inputs but the first become weights."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    given, _ = _values(case)
    for value, array in list(zip(model.graph.input, given, strict=True))[1:]:
        model.graph.initializer.append(numpy_helper.from_array(array, value.name))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    widen(model.graph)
    for output in model.graph.output:
        yield fold(program_of(model, output.name))


def _image(array: np.ndarray) -> torch.Tensor:
    if array.dtype.kind == "f":
        return torch.from_numpy(array.astype(np.float32))
    return torch.from_numpy(array.astype(np.int64) if array.dtype.kind == "u" and array.itemsize > 1 else array.copy())


def _answer(program: Program, image: torch.Tensor) -> np.ndarray:
    value = OnnxModule(program, image).trace(image)[program.outputs[0]]
    value = getattr(value, "array", value)
    return value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _check(case) -> None:
    given, answers = _values(case)
    for program, expected in zip(_programs(case), answers, strict=True):
        got = _answer(program, _image(given[0]))
        assert got.shape == expected.shape
        np.testing.assert_allclose(got.astype(float), expected.astype(float), rtol=RELATIVE, atol=ABSOLUTE)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_the_standard_is_kept(cases, operator):
    for case in cases[operator]:
        if case.name in OTHER:
            continue
        try:
            _check(case)
        except ModelError as error:
            # Nothing is turned into something else in silence, and the refusal names the operator.
            assert case.name.startswith(REFUSED), case.name
            assert str(error).startswith(operator)
        except AssertionError as error:
            raise AssertionError(f"{case.name}: {error}") from error


def test_there_are_enough_cases(cases):
    assert sum(map(len, cases.values())) > 800

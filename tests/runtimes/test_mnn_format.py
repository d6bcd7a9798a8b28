"""The tables inside an `.mnn` file, the encoding of weights, and what MNN makes of a bias."""

import numpy as np
import pytest

from pocketfit.runtimes.mnn_format import BLOB, DESCRIPTION, NET, TENSOR_NUMBERS, Record, Rewriter
from pocketfit.runtimes.mnn_weights import Weight, decoded_integers, encoded_integers, int8_bias, is_wide
from pocketfit.types import ActivationPlan


def written(**fields: object) -> Record:
    rewriter = Rewriter(b"")
    return Record.root(rewriter.finish({**fields, "tensor_count": 7}))


def test_numbers_that_are_left_out_have_their_default() -> None:
    net = written(source=3)
    assert (net.number("source"), net.number("tensor_count"), net.number("usage", 2)) == (3, 7, 2)
    assert net.text("biz_code") == ""
    assert net.texts("tensor_names") == ()
    assert net.record("extra", BLOB) is None


def test_new_tables_refer_to_old_ones() -> None:
    first = Rewriter(b"")
    numbers = first.table(TENSOR_NUMBERS, {"scale": 0.5, "type": 6})
    description = first.table(DESCRIPTION, {"index": 3, "numbers": numbers})
    names = first.references([first.text("in"), first.text("out")])
    old = first.finish({"described": first.references([description]), "tensor_names": names})
    second = Rewriter(old)
    kept = second.fields(Record.root(old))
    added = second.references([*map(second.old, Record.root(old).targets("tensor_names")), second.text("new")])
    net = Record.root(second.finish({**kept, "tensor_names": added}))
    assert net.texts("tensor_names") == ("in", "out", "new")
    (description_again,) = net.records("described", DESCRIPTION)
    numbers_again = description_again.record("numbers", TENSOR_NUMBERS)
    assert description_again.number("index") == 3
    assert numbers_again is not None
    assert (numbers_again.number("scale"), numbers_again.number("type")) == (0.5, 6)


def test_equal_vectors_are_written_once() -> None:
    values = np.arange(1000, dtype=np.float32)
    rewriter = Rewriter(b"")
    assert rewriter.numbers(values) == rewriter.numbers(values.copy())
    assert rewriter.numbers(values) != rewriter.numbers(values.view(np.int32))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.float32])
def test_vectors_are_aligned(dtype: type[np.generic]) -> None:
    rewriter = Rewriter(b"odd")
    rewriter.text("shifts what follows")
    vector = rewriter.numbers(np.arange(5).astype(dtype))
    blob = rewriter.table(BLOB, {"int8": vector})
    net = Record.root(rewriter.finish({"extra": blob}))
    record = net.record("extra", BLOB)
    assert record is not None
    assert np.array_equal(record.numbers("int8", dtype), np.arange(5))
    start = record.target("int8")
    assert start is not None
    assert (start + 4) % np.dtype(dtype).itemsize == 0


def test_a_table_of_a_newer_format_is_not_cut_short() -> None:
    from pocketfit.errors import ConversionError

    rewriter = Rewriter(b"")
    content = rewriter.finish({"uuid": rewriter.text("newest field")})
    older = {name: kind for name, kind in NET.items() if name != "uuid"}
    record = Record(content, Record.root(content).position, older)
    with pytest.raises(ConversionError, match="newer file format"):
        Rewriter(content).fields(record)


@pytest.mark.parametrize(("bits", "limit"), [(8, 127), (4, 7)])
@pytest.mark.parametrize("shape", [(3, 5), (4, 2, 3, 3), (2, 70_000)])
def test_integers_come_back(bits: int, limit: int, shape: tuple[int, ...]) -> None:
    integers = np.random.default_rng(0).integers(-limit, limit + 1, shape).astype(np.int8)
    content = encoded_integers(integers, bits)
    assert np.array_equal(decoded_integers(content, bits, wide=is_wide(integers)), integers.reshape(shape[0], -1))
    assert len(content) <= integers.size * bits / 8 + 300  # the table of values and the shape


@pytest.mark.parametrize("depthwise", [False, True])
def test_bias_is_cut_to_the_integers_of_the_plan(depthwise: bool) -> None:
    random = np.random.default_rng(0)
    bias = random.standard_normal(64).astype(np.float32)
    scales = random.uniform(0.001, 0.01, 64).astype(np.float32)
    read, written_plan = (ActivationPlan(-1, 1, scale, 100, scale) for scale in (0.02, 0.03))
    weight = Weight("layer", np.zeros((64, 1)), 8, None, scales, read, written_plan)
    steps = np.float32(read.scale) * scales
    cut = np.trunc(int8_bias(bias, weight, depthwise=depthwise) / steps)
    if not depthwise:
        assert np.array_equal(cut, np.round(bias / steps))
    else:
        zero_point = -28 * np.float32(written_plan.scale) / steps
        # Rounded twice, once each for bias and zero point.
        assert np.abs(cut + np.trunc(zero_point) - (bias / steps + zero_point)).max() <= 1.001

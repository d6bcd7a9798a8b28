"""Integer layers against sums written once more in numpy's int64."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from pocketfit.compress.quantize.integer import integer_layer

aten = torch.ops.aten
Case = tuple[Callable[..., torch.Tensor], tuple[int, ...], tuple[int, ...], tuple[object, ...]]

# Op, input shape, weight shape, and the arguments after the bias.
CASES: dict[str, Case] = {
    "conv2d": (aten.conv2d.default, (2, 3, 7, 7), (5, 3, 3, 3), ()),
    "stride and padding": (aten.conv2d.default, (2, 3, 8, 7), (5, 3, 3, 3), ([2, 2], [1, 1])),
    "dilation": (aten.conv2d.default, (1, 3, 9, 9), (4, 3, 3, 3), ([1, 1], [2, 2], [2, 2])),
    "groups": (aten.conv2d.default, (2, 4, 6, 6), (6, 2, 3, 3), ([1, 1], [0, 0], [1, 1], 2)),
    "depthwise": (aten.conv2d.default, (2, 6, 6, 6), (6, 1, 3, 3), ([1, 1], [1, 1], [1, 1], 6)),
    "conv1d": (aten.conv1d.default, (2, 3, 12), (4, 3, 5), ([2], [2])),
    "linear": (aten.linear.default, (4, 9), (5, 9), ()),
    "linear on a sequence": (aten.linear.default, (2, 3, 9), (5, 9), ()),
}
INPUT_SCALE = 0.037
OUTPUT_SCALE = 0.51


def whole_sums(values: np.ndarray, weight: np.ndarray, rest: tuple[object, ...]) -> np.ndarray:
    """The layer's sums of products, int64."""
    if weight.ndim == 2:
        return values @ weight.T
    spatial = weight.ndim - 2
    stride, padding, dilation, groups = (*rest, *([1] * spatial, [0] * spatial, [1] * spatial, 1)[len(rest) :])
    padded = np.pad(values, [(0, 0), (0, 0), *((side, side) for side in padding)])
    reach = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilation, strict=True)]
    windows = sliding_window_view(padded, reach, axis=tuple(range(2, 2 + spatial)))
    picked = (slice(None), slice(None), *(slice(None, None, step) for step in (*stride, *dilation)))
    windows = windows[picked]
    per_group = [
        np.tensordot(part, filters, axes=([1, *range(2 + spatial, 2 + 2 * spatial)], range(1, 2 + spatial)))
        for part, filters in zip(np.split(windows, groups, 1), np.split(weight, groups), strict=True)
    ]
    return np.moveaxis(np.concatenate(per_group, -1), -1, 1)


def along_channels(values: np.ndarray, sums: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return values.reshape(-1, *[1] * (sums.ndim - 2)) if weight.ndim > 2 else values


def parts(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Activations without zero point, weights, INT32 biases and weight scales."""
    _, shape, weight_shape, _ = case
    rng = np.random.default_rng(0)
    values = rng.integers(-100, 156, shape)
    weight = rng.integers(-127, 128, weight_shape)
    bias = rng.integers(-20_000, 20_000, weight_shape[0])
    return values, weight, bias, rng.uniform(1e-3, 1e-2, weight_shape[0]).astype(np.float32)


def run(
    case: Case,
    values: np.ndarray,
    weight: np.ndarray,
    bias: torch.Tensor | None,
    scales: np.ndarray,
    output: tuple[float, int, int] | None,
) -> np.ndarray:
    dequantized = torch.from_numpy((values * INPUT_SCALE).astype(np.float32))
    floats, per_channel = torch.from_numpy(weight.astype(np.float32)), torch.from_numpy(scales)
    return integer_layer(dequantized, floats, bias, case[0], case[3], INPUT_SCALE, per_channel, output).numpy()


def requantized(sums: np.ndarray, scales: np.ndarray, lowest: int, highest: int) -> np.ndarray:
    """One float32 multiplication, half to even, as ONNX Runtime's and XNNPACK's kernels do."""
    multiplier = np.float32(INPUT_SCALE) * scales / np.float32(OUTPUT_SCALE)
    steps = np.rint(sums.astype(np.float32) * multiplier).clip(lowest, highest)
    return steps.astype(np.float32) * np.float32(OUTPUT_SCALE)


@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("bounds", [(-120, 135), (0, 12)], ids=["whole range", "relu6"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_bit_is_that_of_whole_numbers(case: Case, bounds: tuple[int, int], with_bias: bool) -> None:
    values, weight, bias, scales = parts(case)
    sums = whole_sums(values, weight, case[3])
    if with_bias:
        sums = sums + along_channels(bias, sums, weight)
    expected = requantized(sums, along_channels(scales, sums, weight), *bounds)
    given = torch.from_numpy(bias).double() if with_bias else None
    found = run(case, values, weight, given, scales, (OUTPUT_SCALE, *bounds))
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) > 5  # neither all clipped nor all alike


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_without_an_output_scale_the_result_is_float(case: Case) -> None:
    values, weight, _, scales = parts(case)
    bias = np.linspace(-1, 1, len(scales), dtype=np.float32)
    sums = whole_sums(values, weight, case[3])
    multiplier = np.float32(INPUT_SCALE) * along_channels(scales, sums, weight)
    expected = sums.astype(np.float32) * multiplier + along_channels(bias, sums, weight)
    np.testing.assert_array_equal(run(case, values, weight, torch.from_numpy(bias), scales, None), expected)


@pytest.mark.parametrize("op", ["linear", "conv2d"])
def test_sums_beyond_float32_are_exact(op: str) -> None:
    # 2,048 products of up to 255 * 127 reach 6.6e7, of which float32 (2^24 = 1.7e7) holds every fourth only.
    tail = () if op == "linear" else (1, 1)
    case: Case = (getattr(aten, op).default, (8, 2048, *tail), (4, 2048, *tail), ())
    rng = np.random.default_rng(0)
    values = rng.integers(200, 256, case[1])
    weight = rng.integers(100, 128, case[2])
    sums = whole_sums(values, weight, ())
    assert sums.min() > 2**24
    floats = values.reshape(8, -1).astype(np.float32) @ weight.reshape(4, -1).astype(np.float32).T
    assert (floats.reshape(sums.shape) != sums).any()  # so the plain way would be caught
    bias = -sums.min() * np.ones(4)  # brings the sums back to where float32 tells neighbours apart
    expected = requantized(sums + bias.astype(np.int64).reshape(-1, *tail), np.full(1, 1e-3, np.float32), 0, 10**6)
    found = run(case, values, weight, torch.from_numpy(bias), np.full(4, 1e-3, np.float32), (OUTPUT_SCALE, 0, 10**6))
    np.testing.assert_array_equal(found, expected)


def test_halves_are_rounded_to_even() -> None:
    identity = np.eye(4, dtype=np.int64)
    case: Case = (aten.linear.default, (1, 4), (4, 4), ())
    # An input step is half an output step here, all of them powers of two, so that 1, 3, 5, 7 are exact halves.
    values = torch.tensor([[1.0, 3.0, 5.0, 7.0]])
    scales = torch.full((4,), 0.5)
    found = integer_layer(values, torch.from_numpy(identity).float(), None, case[0], (), 1.0, scales, (1.0, -128, 127))
    assert found.tolist() == [[0.0, 2.0, 2.0, 4.0]]

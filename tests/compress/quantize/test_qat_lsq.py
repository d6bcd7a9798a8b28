import math

import pytest
import torch

from pocketfit.compress.quantize.fake import fake_quantize_activation, fake_quantize_weight
from pocketfit.compress.quantize.qat.lsq import (
    ActivationQuantizer,
    WeightQuantizer,
    fake_quantize,
    straight_through,
)
from pocketfit.types import ActivationPlan, LayerPlan, Scheme


def values(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def gradients(value: float, scale: float, zero_point: float, low: int = 0, high: int = 255) -> tuple[float, ...]:
    tensors = [torch.tensor(number, requires_grad=True) for number in (value, scale, zero_point)]
    fake_quantize(tensors[0], tensors[1], low - zero_point, high - zero_point, 1.0, tensors[2]).backward()
    return tuple(float(tensor.grad) for tensor in tensors)


def test_inside_the_range_the_scale_is_pulled_by_the_rounding_error() -> None:
    # v/s = 2.3 rounds to 2: the gradient is the difference (LSQ, eq. 3); the zero point says nothing there.
    assert gradients(2.3, 1.0, 10.0) == pytest.approx((1.0, -0.3, 0.0), abs=1e-6)


def test_above_the_range_the_scale_is_pulled_by_the_largest_step() -> None:
    assert gradients(300.0, 1.0, 10.0) == (0.0, 245.0, -1.0)


def test_below_the_range_the_scale_is_pulled_by_the_smallest_step() -> None:
    assert gradients(-30.0, 0.5, 10.0) == (0.0, -10.0, -0.5)
    assert gradients(-200.0, 1.0, 0.0, -127, 127) == (0.0, -127.0, -1.0)


def test_gradients_are_those_of_the_straight_through_estimator() -> None:
    """The same gradients from autograd, with rounding as `v + (round(v) − v).detach()`."""
    tensors = [values(4, 5), torch.full((1, 5), 0.013), torch.tensor(90.0)]
    ours, plain = ([tensor.clone().requires_grad_() for tensor in tensors] for _ in range(2))
    weights = values(4, 5).flip(0)
    (fake_quantize(ours[0], ours[1], -90, 165, 1.0, ours[2]) * weights).sum().backward()
    value, scale, zero_point = plain
    ratio = value / scale
    steps = torch.clamp(ratio, -zero_point, 255 - zero_point)
    ((steps + (steps.round() - steps).detach()) * scale * weights).sum().backward()
    for one, other in zip(ours, plain, strict=True):
        # Both sum a few float32 products, of steps up to 165.
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4)


def test_the_gradient_of_a_scale_is_reduced_by_the_number_of_values() -> None:
    batch = values(3, 8, 4, 4)
    quantizer = ActivationQuantizer(0.02, 120, 0, 255)
    quantizer(batch).sum().backward()
    scale = torch.tensor(0.02, requires_grad=True)
    fake_quantize(batch, scale, -120, 135, 1.0).sum().backward()
    # A batch counts once: 8·4·4 values a sample (LSQ, section 2.2). The parameter is the scale's logarithm.
    expected = float(scale.grad) * 0.02 / math.sqrt(8 * 4 * 4 * 255)
    assert float(quantizer.log_ratio.grad) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("bits", [8, 16])
def test_an_untrained_activation_is_what_the_plan_says_to_the_bit(scheme: Scheme, bits: int) -> None:
    scale = 0.0173 if bits == 8 else 1e-4
    plan = ActivationPlan(-2, 2, scale, 113 if bits == 8 else 0, scale, bits=bits)
    low, high = (-32767, 32767) if bits == 16 else (-127, 127) if scheme is Scheme.SYMMETRIC else (0, 255)
    quantizer = ActivationQuantizer(scale, 0 if scheme is Scheme.SYMMETRIC else plan.zero_point, low, high)
    batch = values(8, 3, 5, 5) * 2
    assert torch.equal(quantizer(batch), fake_quantize_activation(batch, plan, scheme))


@pytest.mark.parametrize("bits", [4, 8])
def test_an_untrained_weight_is_what_the_plan_says_to_the_bit(bits: int) -> None:
    weight = values(6, 3, 3, 3)
    scales = tuple((weight.abs().amax((1, 2, 3)) * 0.8 / (2 ** (bits - 1) - 1)).tolist())
    plan = LayerPlan("conv2d", "", "weight", 0, scales, weight_bits=bits)
    quantizer = WeightQuantizer(scales, 0, 4, 2 ** (bits - 1) - 1)
    assert torch.equal(quantizer(weight), fake_quantize_weight(weight, plan))
    assert quantizer.scales() == scales


def test_equal_weight_scales_stay_equal() -> None:
    quantizer = WeightQuantizer((0.1,) * 6, 0, 2, 127)
    assert quantizer.log_ratio.numel() == 1
    with torch.no_grad():
        quantizer.log_ratio += 0.1
    assert len(set(quantizer.scales())) == 1
    assert len(quantizer.scales()) == 6


def test_a_scale_stays_positive_whatever_its_gradient() -> None:
    quantizer = ActivationQuantizer(1e-6, 0, 0, 255)
    with torch.no_grad():
        quantizer.log_ratio -= 5
    assert 0 < float(quantizer.scale().detach()) < 1e-6


def test_a_learnt_zero_point_is_an_integer_of_the_range() -> None:
    quantizer = ActivationQuantizer(0.02, 3, 0, 255, learn_zero_point=True)
    with torch.no_grad():
        quantizer.shift -= 0.0064  # 1.6 steps of 255
    assert quantizer.zero_point() == 1
    with torch.no_grad():
        quantizer.shift -= 1
    assert quantizer.zero_point() == 0
    quantizer(torch.full((1, 4), 9.0)).sum().backward()  # above the range
    assert quantizer.shift.grad is not None and quantizer.shift.grad < 0


def test_a_fixed_scale_asks_for_no_gradient() -> None:
    quantizer = ActivationQuantizer(1 / 256, 0, 0, 255, fixed=True, learn_zero_point=True)
    assert not any(parameter.requires_grad for parameter in quantizer.parameters())


def test_half_precision_comes_back_on_the_same_grid() -> None:
    batch = values(4, 6).to(torch.bfloat16)
    quantizer = ActivationQuantizer(0.02, 120, 0, 255)
    assert torch.equal(quantizer(batch), quantizer(batch.float()))


def test_straight_through_rounds_forwards_only() -> None:
    weight = torch.tensor([0.1, 0.7], requires_grad=True)
    rounded = straight_through(weight, weight.half().float())
    (rounded * torch.tensor([2.0, 3.0])).sum().backward()
    assert torch.equal(rounded, weight.half().float())
    assert weight.grad.tolist() == [2.0, 3.0]

"""The space, and the shared weights."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from pocketfit.errors import OptionError
from pocketfit.nas.architecture import Architecture, Block, space_for
from pocketfit.nas.network import ElasticNet
from pocketfit.nas.supernet import Supernet

SPACE = space_for((3, 16, 16), 4, 8)


def test_stages_halve_the_image_until_little_is_left() -> None:
    assert space_for((1, 8, 8), 10).strides == (1, 1, 2)
    assert space_for((3, 32, 32), 10).strides == (1, 1, 2, 2, 2)
    assert space_for((3, 224, 224), 10).strides == (2, 1, 2, 2, 2, 2)
    assert space_for((3, 32, 32), 10, 16).widths == (16, 16, 24, 32, 56)


def test_every_network_is_between_the_smallest_and_the_largest() -> None:
    assert str(SPACE.smallest()) == "k3e2 | k3e2 | k3e2"
    assert str(SPACE.largest()) == " | ".join(["k5e6 k5e6 k5e6"] * 3)
    # Six kinds of block; one, two or three of them in each of three stages.
    assert len(SPACE) == (6 + 6**2 + 6**3) ** 3
    seen = {str(SPACE.random(random.Random(seed))) for seed in range(50)}
    assert len(seen) > 40


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(OptionError, match="3x4x4 is no image of at least 8 pixels"):
        space_for((3, 4, 4), 10)
    with pytest.raises(OptionError, match="1 classes and a width of 16"):
        space_for((3, 16, 16), 1)


@pytest.mark.parametrize("seed", range(4))
def test_a_network_that_is_taken_out_answers_as_it_did(seed: int) -> None:
    """By the batch's own statistics, which is how the shared weights are trained."""
    torch.manual_seed(seed)
    supernet, architecture = Supernet(SPACE), SPACE.random(random.Random(seed))
    images = torch.randn(8, 3, 16, 16)
    taken = supernet.taken_out(architecture, [images.numpy()])
    with torch.no_grad():
        expected = supernet(images, architecture)
        taken.train()
        # The same sums, in another order where the weights lie otherwise.
        torch.testing.assert_close(taken(images), expected, rtol=1e-4, atol=1e-5)


def test_statistics_are_those_of_the_samples() -> None:
    torch.manual_seed(0)
    supernet = Supernet(SPACE)
    images = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32) + 1
    taken = supernet.taken_out(SPACE.smallest(), [images])
    norm, convolution = taken.stem[1], taken.stem[0]
    with torch.no_grad():
        seen = convolution(torch.from_numpy(images))
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
    assert not taken.training


def test_weights_are_shared() -> None:
    """What a small network learns, the largest one knows."""
    supernet = Supernet(SPACE)
    supernet(torch.randn(4, 3, 16, 16), SPACE.smallest()).square().sum().backward()
    shared = supernet.net.stages[0][0].depthwise[0].weight
    assert shared.grad is not None
    reached = shared.grad != 0
    assert reached.any()
    # Its first channels, and the middle of their kernels.
    assert reached.sum() == reached[: 2 * 8, :, 1:4, 1:4].sum()


def test_a_network_by_itself() -> None:
    net = ElasticNet(SPACE, Architecture(((Block(3, 4),), (Block(5, 2), Block(3, 2)), (Block(3, 6),))))
    assert net.eval()(torch.zeros(2, 3, 16, 16)).shape == (2, 4)
    assert net.stages[1][0].depthwise[0].weight.shape == (16, 1, 5, 5)

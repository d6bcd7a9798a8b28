"""The zoo's networks are those of the papers: as many parameters and MACs, and every one can be trained."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pocketfit.errors import ModelError
from pocketfit.models import load_model
from pocketfit.models.zoo import MODELS

# SqueezeNet and ShuffleNet V2: as torchvision has them, which has the authors' weights.
PARAMETERS = {
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
}
# Millions, as the papers round them: ShuffleNet V1 table 2, V2 table 8; DS-CNN table 4, where ops are twice the MACs.
MACS = {
    "shufflenet_v1_g1": 143,
    "shufflenet_v1_g2": 140,
    "shufflenet_v1_g3": 137,
    "shufflenet_v1_g4": 133,
    "shufflenet_v1_g8": 137,
    "shufflenet_v2_x0_5": 41,
    "shufflenet_v2_x1_0": 146,
    "shufflenet_v2_x1_5": 299,
    "shufflenet_v2_x2_0": 591,
    "ds_cnn_s": 2.7,
    "ds_cnn_m": 9.9,
    "ds_cnn_l": 28.5,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_published_ones(name):
    assert sum(parameter.numel() for parameter in MODELS[name]().parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", MACS)
def test_macs_are_the_papers(name):
    network = MODELS[name]().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, *network.input_shape))
    # Papers count batch norm and poolings as they like: a hundredth or two.
    assert counter.get_total_flops() / 2e6 == pytest.approx(MACS[name], rel=0.025)


def test_mobilefacenet_has_under_a_million_weights():
    """The paper says 0.99 million, batch norm left out."""
    convolutions = [one for one in MODELS["mobilefacenet"]().modules() if isinstance(one, torch.nn.Conv2d)]
    assert sum(one.weight.numel() for one in convolutions) == pytest.approx(0.99e6, rel=0.02)


@pytest.mark.parametrize("name", MODELS)
def test_every_weight_learns(name):
    network = MODELS[name]().train()
    network(torch.randn(2, *network.input_shape)).square().mean().backward()
    assert not [key for key, weight in network.named_parameters() if weight.grad is None]


def test_a_model_is_loaded_by_name():
    model = load_model("zoo:ds_cnn_s")
    assert (model.name, model.input.shape, model.output.shape) == ("ds_cnn_s", (1, 1, 49, 10), (1, 12))


@pytest.mark.parametrize(
    ("name", "words"),
    [("shufflenet_v2_1_0", "Did you mean shufflenet_v2_x1_0"), ("resnet", "It has .*\n.*timm:NAME")],
)
def test_unknown_names(name, words):
    with pytest.raises(ModelError, match=words):
        load_model(f"zoo:{name}")

"""Families of timm that run on phones, each by its smallest member, on small images.

Where a family repeats one block many times, `depths` and the like are cut: a converter meets the same ops, once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.architectures.architecture import Architecture
from benchmarks.architectures.torchvision_package import import_torchvision

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TIMM"]

_SHORT = {"layers": (1, 1, 1, 1)}

# Name, side of the image, arguments.
_NETS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    # Inverted residuals and what was searched or derived from them.
    ("mobilenetv2_050", 64, {}),
    ("mobilenetv3_small_050", 64, {}),
    ("mobilenetv4_conv_small_050", 64, {}),
    ("efficientnet_lite0", 64, {}),
    ("efficientnet_b0", 64, {}),
    ("mixnet_s", 64, {}),
    ("mnasnet_small", 64, {}),
    ("fbnetc_100", 64, {}),
    ("tinynet_e", 64, {}),
    ("lcnet_050", 64, {}),
    ("ghostnet_050", 64, {}),
    ("repghostnet_050", 64, {}),
    ("mobileone_s0", 64, {}),
    ("rexnet_100", 64, {}),
    # Residual networks.
    ("resnet18", 64, {}),
    ("resnext50_32x4d", 64, _SHORT),
    ("seresnet18", 64, _SHORT),
    ("skresnet18", 64, _SHORT),
    ("resnest14d", 64, {}),
    ("res2net50_26w_4s", 64, _SHORT),
    ("resnetv2_18", 64, _SHORT),
    ("regnety_002", 64, {}),
    ("repvgg_a0", 64, {}),
    ("nf_regnet_b0", 64, {}),
    # Other convolutional networks.
    ("vgg11_bn", 64, {"num_classes": 100}),
    ("densenet121", 64, {"block_config": (2, 2, 2, 2)}),
    ("dla46_c", 64, {}),
    ("selecsls42", 64, {}),
    ("darknet17", 64, {}),
    ("cs3darknet_focus_s", 64, {}),
    ("xception41", 64, {}),
    ("inception_v3", 96, {}),
    # Convolutional networks after the transformers' model.
    ("convnext_atto", 64, {"depths": (1, 1, 2, 1)}),
    ("convnextv2_atto", 64, {"depths": (1, 1, 2, 1)}),
    ("inception_next_atto", 64, {"depths": (1, 1, 2, 1)}),
    ("poolformer_s12", 64, {}),
    ("starnet_s050", 64, {}),
    # Convolutions and attention.
    ("edgenext_xx_small", 64, {}),
    ("mobilevit_xxs", 64, {}),
    ("mobilevitv2_050", 64, {}),
    ("fastvit_t8", 64, {"layers": (1, 1, 1, 1)}),
    ("efficientformer_l1", 224, {"depths": (1, 1, 1, 2)}),
    ("efficientformerv2_s0", 224, {"depths": (1, 1, 2, 2)}),
    ("efficientvit_b0", 64, {}),
    ("efficientvit_m0", 224, {}),
    ("levit_128s", 224, {}),
    ("tiny_vit_5m_224", 224, {"depths": (1, 1, 2, 1), "num_classes": 1000}),
    ("repvit_m0_9", 64, {}),
    ("shvit_s1", 64, {}),
    # Transformers and perceptrons.
    ("vit_tiny_patch16_224", 64, {"img_size": 64, "depth": 4}),
    ("deit_tiny_distilled_patch16_224", 64, {"img_size": 64, "depth": 4}),
    ("xcit_nano_12_p16_224", 64, {"img_size": 64, "depth": 3}),
    ("cait_xxs24_224", 64, {"img_size": 64, "depth": 3}),
    ("swin_tiny_patch4_window7_224", 64, {"img_size": 64, "window_size": 4, "depths": (2, 2), "num_heads": (3, 6)}),
    ("mixer_s32_224", 64, {"img_size": 64}),
    ("resmlp_12_224", 64, {"img_size": 64}),
)


def _architecture(name: str, side: int, arguments: dict[str, Any]) -> Architecture:
    return Architecture(name, "timm", (3, side, side), partial(_build, name, arguments), repr(arguments))


def _build(name: str, arguments: dict[str, Any]) -> nn.Module:
    import_torchvision()
    import timm

    module: nn.Module = timm.create_model(name, pretrained=False, **arguments)
    return module


TIMM = tuple(_architecture(*net) for net in _NETS)

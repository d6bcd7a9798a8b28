"""Compact families that timm does not have, one a file; `timm:NAME` has the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["FAMILIES", "IN_TIMM", "MODELS"]

Build = Callable[[], "nn.Module"]


def _squeezenet(version: str) -> Build:
    def build() -> nn.Module:
        from pocketfit.models.zoo.squeezenet import SqueezeNet

        return SqueezeNet(version)

    return build


def _shufflenet_v1(groups: int) -> Build:
    def build() -> nn.Module:
        from pocketfit.models.zoo.shufflenet_v1 import ShuffleNetV1

        return ShuffleNetV1(groups)

    return build


def _shufflenet_v2(width: float) -> Build:
    def build() -> nn.Module:
        from pocketfit.models.zoo.shufflenet_v2 import ShuffleNetV2

        return ShuffleNetV2(width)

    return build


def _mobilefacenet() -> nn.Module:
    from pocketfit.models.zoo.mobilefacenet import MobileFaceNet

    return MobileFaceNet()


def _ds_cnn(size: str) -> Build:
    def build() -> nn.Module:
        from pocketfit.models.zoo.ds_cnn import DsCnn

        return DsCnn(size)

    return build


# Family → model → what builds it, with random weights.
FAMILIES: Mapping[str, Mapping[str, Build]] = {
    "SqueezeNet": {"squeezenet1_0": _squeezenet("1.0"), "squeezenet1_1": _squeezenet("1.1")},
    "ShuffleNet V1": {f"shufflenet_v1_g{groups}": _shufflenet_v1(groups) for groups in (1, 2, 3, 4, 8)},
    "ShuffleNet V2": {
        f"shufflenet_v2_x{str(width).replace('.', '_')}": _shufflenet_v2(width) for width in (0.5, 1.0, 1.5, 2.0)
    },
    "MobileFaceNet": {"mobilefacenet": _mobilefacenet},
    "DS-CNN": {f"ds_cnn_{size}": _ds_cnn(size) for size in ("s", "m", "l")},
}
MODELS: Mapping[str, Build] = {name: build for family in FAMILIES.values() for name, build in family.items()}
# Families that timm has, by a pattern of its names.
IN_TIMM: Mapping[str, str] = {
    "MobileNet V1": "mobilenetv1_*",
    "MobileNet V2": "mobilenetv2_*",
    "MobileNet V3": "mobilenetv3_*",
    "MobileNet V4": "mobilenetv4_*",
    "GhostNet": "ghostnet*",
    "EfficientNet-Lite": "efficientnet_lite*",
    "MobileOne": "mobileone_*",
}

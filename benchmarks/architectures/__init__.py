"""The networks of the conversion matrix, all with seeded random weights."""

from benchmarks.architectures.architecture import Architecture
from benchmarks.architectures.families import FAMILIES
from benchmarks.architectures.timm_nets import TIMM
from benchmarks.architectures.torchvision_nets import TORCHVISION
from benchmarks.architectures.zoo import ZOO

__all__ = ["ARCHITECTURES", "Architecture", "architecture"]

ARCHITECTURES = (*ZOO, *FAMILIES, *TORCHVISION, *TIMM)


def architecture(name: str) -> Architecture:
    """The architecture of that name."""
    return next(one for one in ARCHITECTURES if one.name == name)

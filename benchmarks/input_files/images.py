"""What the models are asked: noise, and photos."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.real_data import imagenet_1300

__all__ = ["noise", "photos"]

# Of ImageNet, as most networks were trained.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(shape: tuple[int, ...], count: int) -> Tensor:
    """Seeded random numbers around zero, of a seed that the loader's own proof does not use."""
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(7))


def photos(shape: tuple[int, ...], count: int) -> Tensor | None:
    """The first photos of as many classes in the size that the model takes, normalised; None where it takes none."""
    import numpy as np
    from PIL import Image

    if len(shape) != 3 or shape[0] not in (1, 3):
        return None
    files = [file for folder in sorted(imagenet_1300().iterdir()) for file in sorted(folder.iterdir())[:1]][:count]
    mode, size = ("RGB" if shape[0] == 3 else "L"), (shape[2], shape[1])
    pixels = [np.asarray(Image.open(file).convert(mode).resize(size), np.float32) for file in files]
    batch = torch.from_numpy(np.stack(pixels)).reshape(count, shape[1], shape[2], shape[0]).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values[: shape[0]]).view(1, -1, 1, 1) for values in (MEAN, STD))
    return ((batch - mean) / std).contiguous()

"""What a fault is: one stage of the preprocessing done wrong, and the others right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketfit.contract import Contract
from pocketfit.data.preprocess import arithmetic, geometry
from pocketfit.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Fault", "as_stored", "together", "upright"]


def upright(image: Image.Image | np.ndarray) -> Image.Image:
    """The image as it is to be seen: EXIF orientation applied, RGB.

    Raises:
        DataError: an array that is no uint8 height × width × 3.
    """
    from PIL import Image as images

    return images.fromarray(geometry(_picture(image), Contract()))


def as_stored(image: Image.Image | np.ndarray) -> Image.Image:
    """The image as its pixels lie in the file, whatever its EXIF orientation says; RGB."""
    from PIL import Image as images

    return images.fromarray(np.asarray(_picture(image).convert("RGB")))


def _picture(image: Image.Image | np.ndarray) -> Image.Image:
    from PIL import Image as images

    if not isinstance(image, np.ndarray):
        return image
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DataError(
            f"An image is {image.dtype} {'x'.join(map(str, image.shape))}; uint8 height x width x 3 is needed, or an "
            "image of Pillow."
        )
    return images.fromarray(np.ascontiguousarray(image))


@dataclass(frozen=True)
class Fault:
    """One thing done wrong on the way from an image to the model's input.

    Args:
        name: lower case, words joined by hyphens.
        meaning: one sentence, as for the user whose app does it.
        decode: from an image of Pillow, or uint8 height × width × 3, to an upright RGB image.
        shape: the geometry: from that to uint8 height × width × 3.
        compute: the arithmetic: from uint8 N×H×W×3 to float32 NCHW.
    """

    name: str
    meaning: str
    decode: Callable[[Image.Image | np.ndarray], Image.Image] = upright
    shape: Callable[[Image.Image, Contract], np.ndarray] = geometry
    compute: Callable[[np.ndarray, Contract], np.ndarray] = arithmetic

    @property
    def numeric(self) -> bool:
        """Whether the pixels are right, and only what is computed from them is wrong."""
        return self.decode is upright and self.shape is geometry

    def inputs(self, images: Sequence[Image.Image | np.ndarray], spec: Contract) -> np.ndarray:
        """What an app with this fault gives the model.

        Args:
            images: decoded, in full size: of Pillow, or uint8 height × width × 3, RGB.
            spec: the right preprocessing.

        Returns:
            float32 NCHW.

        Raises:
            DataError: images that are not of one size after the geometry, or are smaller than the crop.
        """
        return self.compute(self.pixels(images, spec), spec)

    def pixels(self, images: Sequence[Image.Image | np.ndarray], spec: Contract) -> np.ndarray:
        """What `inputs` computes from: uint8 N×H×W×3."""
        pixels = [self.shape(self.decode(image), spec) for image in images]
        sizes = sorted({f"{each.shape[0]}x{each.shape[1]}" for each in pixels})
        if len(sizes) != 1:
            raise DataError(
                f"{len(pixels)} images have {len(sizes)} sizes after the preprocessing ({', '.join(sizes[:3])}); the "
                "model needs one. Give images, and a preprocessing with a crop."
            )
        return np.stack(pixels)


def together(first: Fault, second: Fault) -> Fault | None:
    """Both faults at once; None where they do different things at the same stage."""
    stages: dict[str, Any] = {}
    for stage, right in (("decode", upright), ("shape", geometry), ("compute", arithmetic)):
        wrong = [fault for fault in (first, second) if getattr(fault, stage) is not right]
        if len(wrong) == 2:
            return None
        stages[stage] = getattr(wrong[0], stage) if wrong else right
    return Fault(f"{first.name} + {second.name}", f"{first.meaning} {second.meaning}", **stages)

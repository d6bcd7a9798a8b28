"""PSNR: how near an image comes to the one it should be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketfit.errors import DataError, OptionError
from pocketfit.types import MetricInfo, TensorSpec
from pocketfit.verify.metrics.metric import Metric, Scorer
from pocketfit.verify.metrics.shapes import check_like_output, differences
from pocketfit.verify.metrics.shares import average

__all__ = ["psnr"]

# No image is better than this, or one that is the target itself would make every mean infinite.
_MOST_DB = 100.0
# Resizing overshoots a little.
_SLACK = 1.05


def psnr(peak: float) -> Metric:
    """Mean over the images of 10 log10(peak² / mean squared error), in decibel, of the first output as it is.

    Source: Huynh-Thu and Ghanbari 2008, "Scope of validity of PSNR in image/video quality assessment".

    Args:
        peak: the largest value a pixel can have, such as 1 or 255.

    Raises:
        OptionError: the peak is not above 0.
    """
    if not peak > 0:
        raise OptionError(f"psnr@{peak:g} has no peak. Give psnr, whose peak is 1, or psnr@255.")
    name = "psnr" if peak == 1 else f"psnr@{peak:g}"

    def check(targets: np.ndarray, spec: str, outputs: Sequence[TensorSpec]) -> np.ndarray:
        images = check_like_output(targets, spec, outputs)
        if images.max() > _SLACK * peak:
            raise DataError(
                f"The targets of {spec} go up to {images.max():g}, but {name} takes {peak:g} for the largest value of "
                "a pixel. Give --metric psnr@255 for pixels up to 255, or scale them as the model's output is."
            )
        return images

    def scorer(outputs: Sequence[np.ndarray], targets: np.ndarray) -> Scorer:
        errors = (differences(outputs[0], targets) ** 2).mean(axis=1)
        floor = peak**2 / 10 ** (_MOST_DB / 10)
        return average(10 * np.log10(peak**2 / np.maximum(errors, floor)))

    return Metric(MetricInfo(name, "dB"), check, scorer, name)

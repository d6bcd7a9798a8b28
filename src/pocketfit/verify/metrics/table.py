"""All metrics by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

from pocketfit.errors import OptionError
from pocketfit.importing import is_reference
from pocketfit.verify.metrics.mae import MAE
from pocketfit.verify.metrics.mean_average_precision import mean_average_precision
from pocketfit.verify.metrics.mean_iou import MEAN_IOU
from pocketfit.verify.metrics.metric import Metric
from pocketfit.verify.metrics.own import own_metric
from pocketfit.verify.metrics.psnr import psnr
from pocketfit.verify.metrics.recall import recall_at
from pocketfit.verify.metrics.rmse import RMSE
from pocketfit.verify.metrics.tar_at_far import tar_at_far
from pocketfit.verify.metrics.token_accuracy import TOKEN_ACCURACY
from pocketfit.verify.metrics.top_k import top_k

__all__ = ["NAMES", "find_metric"]

_WHOLE, _NUMBER = r"(\d{1,6})", r"(\d*\.?\d+(?:e[+-]?\d{1,2})?)"

# By example: how it is written, and what is made of the number in it.
_TABLE: dict[str, tuple[str, Callable[[str], Metric]]] = {
    "top-1": (f"top-{_WHOLE}", lambda k: top_k(int(k))),
    "top-5": (f"top-{_WHOLE}", lambda k: top_k(int(k))),
    "recall@1": (f"recall@{_WHOLE}", lambda k: recall_at(int(k))),
    "tar@far=1e-3": (f"tar@far={_NUMBER}", lambda far: tar_at_far(float(far), far)),
    "map": ("map()", lambda _: mean_average_precision(None)),
    "map@0.5": (f"map@{_NUMBER}", lambda iou: mean_average_precision(float(iou))),
    "miou": ("miou()", lambda _: MEAN_IOU),
    "psnr": (f"psnr(?:@{_NUMBER})?", lambda peak: psnr(float(peak or 1))),
    "mae": ("mae()", lambda _: MAE),
    "rmse": ("rmse()", lambda _: RMSE),
    "token-accuracy": ("token-accuracy()", lambda _: TOKEN_ACCURACY),
}

NAMES = tuple(_TABLE)
"""As users write them; numbers in them may be others."""


def find_metric(text: str) -> Metric:
    """The metric that the user names.

    Args:
        text: one of `NAMES`, perhaps with another number in it, or `module:function` or `file.py:function`.

    Raises:
        OptionError: there is none, or its number is not allowed.
    """
    for pattern, make in _TABLE.values():
        match = re.fullmatch(pattern, text.strip().lower())
        if match:
            return make(match[1])
    if is_reference(text):
        return own_metric(text)
    near = difflib.get_close_matches(text.lower(), NAMES, n=1, cutoff=0.5)
    raise OptionError(
        f"--metric {text!r} is none{f'; did you mean {near[0]}?' if near else '.'} "
        f"Allowed: {', '.join(NAMES)} (with other numbers too), or module:function."
    )

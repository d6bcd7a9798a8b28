"""Models of the timm library, without downloading anything."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from pocketfit.contract import Contract, Crop, Rounding
from pocketfit.data.contract.recognise import from_timm as contract_of
from pocketfit.errors import ModelError, OptionError, RuntimeMissing
from pocketfit.models.source import Source

__all__ = ["from_timm"]


def from_timm(name: str, input_shape: tuple[int, ...] | None = None) -> Source:
    """Build a timm model with random weights; give the trained ones as a file.

    Args:
        name: as `timm.create_model` takes it, such as `mobilenetv2_100`.
        input_shape: overrides the size the model was trained with; the preprocessing follows.

    Raises:
        RuntimeMissing: timm is not installed.
        ModelError: timm has no such model, or cannot build it.
    """
    timm = _import_timm()
    if not timm.is_model(name.partition(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "timm.list_models() lists what there is."
        raise ModelError(f"timm {timm.__version__} has no model {name!r}. {hint}")
    module = timm.create_model(name, pretrained=False)
    config = timm.data.resolve_model_data_config(module)
    shape = input_shape or tuple(config["input_size"])
    return Source(module, name, shape, _preprocess(config, shape))


def _preprocess(config: Mapping[str, Any], shape: tuple[int, ...]) -> Contract | None:
    """None for what takes no images, and for a transform that a contract cannot say: the data's notes tell of it."""
    if len(shape) != 3 or len(config["mean"]) not in (1, shape[0]):
        return None
    try:
        if shape[1] == shape[2] or config["crop_mode"] != "center":
            return contract_of({**config, "input_size": shape})
        # A size of the user's own, cut out of the square of its longer side.
        square = contract_of({**config, "input_size": (shape[0], max(shape[1:]), max(shape[1:]))})
        return replace(square, crop=Crop((shape[1], shape[2]), Rounding.HALF_EVEN))
    except OptionError:
        return None


def _import_timm() -> ModuleType:
    if importlib.util.find_spec("timm") is None:
        raise RuntimeMissing('timm is not installed. Install it with: pip install "pocketfit[timm]"')
    _mend_torchvision()
    import timm
    import timm.data

    return timm


_FRAGMENTS: list[torch.library.Library] = []


def _mend_torchvision() -> None:
    """Let torchvision be imported where its compiled operators cannot be loaded.

    timm imports torchvision, and torchvision registers fake kernels for `nms` and `qnms` as it is imported. A wheel of
    torchvision built for another build of torch (CUDA beside CPU) cannot load the library that defines the two, and the
    import ends with "operator torchvision::nms does not exist". No classification model calls them: naming them is
    enough.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _FRAGMENTS or _operators_load(Path(spec.origin).parent):
        return
    fragment = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        fragment.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    # The definition lives as long as this object.
    _FRAGMENTS.append(fragment)


def _operators_load(folder: Path) -> bool:
    for library in (*folder.glob("_C*.so"), *folder.glob("_C*.pyd")):
        try:
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
        except OSError:
            return False
    return hasattr(torch.ops.torchvision, "nms")

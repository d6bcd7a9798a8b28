"""A Keras model with channels last as one with channels first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["with_channels_first"]


def with_channels_first(config: Mapping[str, Any]) -> dict[str, Any]:
    """Rewrite the configuration of a model, such as `model.get_config()` gives it, so that no layer transposes.

    Layers that know a data format are told the other one, and axes are renumbered. Layers that go by the place of an
    axis in another way are left as they are: whoever uses this has to compare the answers of both models.

    Args:
        config: of a functional or sequential model, with images of three axes inside.
    """
    return {key: _rewritten(value) for key, value in config.items()}


def _rewritten(value: Any) -> Any:
    if isinstance(value, dict):
        if "class_name" in value and isinstance(value.get("config"), dict):
            value = {**value, "config": _layer(value["class_name"], value["config"])}
        return {key: _rewritten(entry) for key, entry in value.items() if key != "build_config"}
    return [_rewritten(entry) for entry in value] if isinstance(value, list) else value


def _layer(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(config)
    if "data_format" in config:
        changed["data_format"] = "channels_first"
    if kind == "InputLayer":
        changed["batch_shape"] = _moved(config["batch_shape"])
    if kind in _BY_AXIS:
        changed["axis"] = _axis(config["axis"])
    if kind == "Reshape" and len(config["target_shape"]) == 3:
        height, width, channels = config["target_shape"]
        changed["target_shape"] = [channels, height, width]
    return changed


_BY_AXIS = frozenset({"BatchNormalization", "Concatenate", "LayerNormalization", "Normalization", "Softmax"})


def _moved(shape: Any) -> Any:
    return [shape[0], shape[3], shape[1], shape[2]] if len(shape) == 4 else shape


def _axis(axis: Any) -> Any:
    if isinstance(axis, list | tuple):
        return [_axis(one) for one in axis]
    return 1 if axis in (-1, 3) else axis

"""Weights from a file into a module, without ever running code from that file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from pocketfit.errors import WeightsError
from pocketfit.models.pickles import wanted_global

__all__ = ["check_finite", "load_weights"]

SUFFIXES = (".pth", ".pt", ".th", ".bin", ".safetensors")
WRAPPERS = ("state_dict", "model_state_dict", "model")
# What DataParallel and torch.compile put before every name.
PREFIXES = ("module.", "_orig_mod.")


def load_weights(module: nn.Module, path: Path) -> None:
    """Copy the weights in a file into a module; names and shapes have to be exactly those of the module.

    Args:
        module: changed in place.
        path: state dict as `.pth`, `.pt`, `.th`, `.bin` (bare, or under "state_dict", "model_state_dict" or "model"),
            or `.safetensors`.

    Raises:
        WeightsError: the file is missing, corrupt, wants to run code, does not fit, or holds NaN or infinity.
    """
    wanted = module.state_dict()
    state = _without_prefix(_read(path), wanted)
    check_finite(state, str(path))
    _check_fit(wanted, state, path)
    module.load_state_dict(state, strict=False)


def check_finite(state: Mapping[str, torch.Tensor], where: str) -> None:
    """Refuse NaN and infinity.

    Args:
        state: tensors by name.
        where: what they belong to, for the message.

    Raises:
        WeightsError: naming the first tensors that hold any.
    """
    bad = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if bad:
        raise WeightsError(
            f"{where} holds NaN or infinity in {_few(bad)}. Only finite weights can be deployed: "
            "take a checkpoint from before the training diverged."
        )


def _read(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix not in SUFFIXES:
        raise WeightsError(f"{path} is not a weights file that Pocketfit reads. Allowed: {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise WeightsError(f"{path} is not a file. Give the weights as a path from {Path.cwd()}.")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}. {_AGAIN}") from error


def _read_pickle(path: Path) -> dict[str, torch.Tensor]:
    try:
        with warnings.catch_warnings():
            # torch warns of unusual formats before it refuses them, and the refusal is what counts.
            warnings.simplefilter("ignore")
            content = torch.load(path, weights_only=True, map_location="cpu")
    # A damaged pickle fails with anything from KeyError to RuntimeError, depending on which byte is wrong.
    except Exception as error:
        raise WeightsError(_refusal(path, error)) from error
    return _state_dict(content, path)


def _refusal(path: Path, error: Exception) -> str:
    wanted = wanted_global(error, path)
    if wanted:
        return (
            f"{path} wants to import {wanted} while it is read. Pocketfit reads tensors only and never unpickles code. "
            "Save the weights alone, where you trust the file: torch.save(model.state_dict(), ...)."
        )
    if "TorchScript" in str(error):
        return (
            f"{path} is a TorchScript archive, layers and weights in one: give it as the model, without --weights, "
            "or save the weights alone: torch.save(model.state_dict(), ...)."
        )
    if "Unsupported operand" in str(error):
        return f"{path} cannot be read: its pickle protocol is newer than 2, which torch.save writes. Save it so again."
    return f"{path} cannot be read as a PyTorch checkpoint ({type(error).__name__}). {_AGAIN}"


_AGAIN = "It is damaged or something else: copy or download it again."


def _state_dict(content: object, path: Path) -> dict[str, torch.Tensor]:
    if isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
        tensors = {str(name): value for name, value in inner.items() if isinstance(value, torch.Tensor)}
        if tensors:
            return tensors
    raise WeightsError(
        f"{path} holds a {type(content).__name__} without a state dict. Allowed: a dict from names to tensors, "
        f"bare or under one of {', '.join(WRAPPERS)}."
    )


def _without_prefix(state: dict[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) and name not in wanted for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _check_fit(wanted: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor], path: Path) -> None:
    # Batch-norm counts its batches only to train; checkpoints from before it did are complete without.
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in wanted]
    mismatched = [
        f"{name} ({_shape(tensor)}, the model has {_shape(wanted[name])})"
        for name, tensor in state.items()
        if name in wanted and tensor.shape != wanted[name].shape
    ]
    parts = {"missing": missing, "unexpected": unexpected, "of another shape": mismatched}
    complaints = [f"{len(names)} {kind}: {_few(names)}" for kind, names in parts.items() if names]
    if complaints:
        raise WeightsError(
            f"{path} does not fit the model. {'; '.join(complaints)}. "
            "Give the weights of exactly this architecture, with the same number of classes."
        )


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape) or "scalar"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more

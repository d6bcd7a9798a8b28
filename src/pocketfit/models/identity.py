"""The identity of a module before it is exported, so that the graph of an unchanged one is found in the store.

Two modules of the same identity compute the same: their classes, and all of the user's own code that is loaded, come
from files with the same content, their attributes print alike, and their tensors hold the same bytes. An attribute that
cannot be described that way leaves the module without an identity, and it is exported anew.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import inspect
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.fx import GraphModule

__all__ = ["identity", "users_modules"]

_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size, enum.Enum)
# What nn.Module keeps for itself: children and tensors are described on their own, hooks have no part in export.
_OWN = frozenset(vars(nn.Module()))


_INSTALLED = (
    *(Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
    Path(__file__).parents[1],
)


class _NoIdentityError(Exception):
    """An attribute cannot be described."""


def identity(module: nn.Module, *more: object) -> str | None:
    """Sha256 over classes, attributes and tensors of a module, in hexadecimal; None where it has no identity.

    Args:
        module: in whatever mode it is.
        more: further plain values that belong to the identity.
    """
    digest = hashlib.sha256()
    try:
        for part in _parts(module):
            digest.update(part.encode() + b"\n")
        digest.update(_described(more).encode())
        digest.update("".join(_own_code()).encode())
    except _NoIdentityError:
        return None
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _parts(module: nn.Module) -> Iterator[str]:
    for name, child in module.named_modules(remove_duplicate=False):
        kind: type[nn.Module] = type(child)
        yield f"{name} {kind.__module__}.{kind.__qualname__} {_file_digest(kind)}"
        if isinstance(child, GraphModule):
            yield child.code
            continue
        hooked = child._forward_hooks or child._forward_pre_hooks
        if hooked:
            raise _NoIdentityError
        own = {key: value for key, value in vars(child).items() if key not in _OWN}
        yield from (f"{name}.{key} = {_described(own[key])}" for key in sorted(own))


def users_modules() -> list[types.ModuleType]:
    """Loaded modules that come from the user's own files."""
    # Some modules of torch name files that do not exist.
    return [
        module
        for module in list(sys.modules.values())
        if str(file := getattr(module, "__file__", None) or "").endswith(".py") and _is_users(Path(file))
    ]


def _own_code() -> list[str]:
    """Digests of every loaded file of the user's: a `forward` may call helpers from any of them."""
    return [_content_digest(file) for file in sorted({str(module.__file__) for module in users_modules()})]


def _is_users(path: Path) -> bool:
    """Not of Python, of an installed package or of Pocketfit: those are told apart by versions."""
    return path.is_file() and not any(path.is_relative_to(root) for root in _INSTALLED)


def _described(value: object) -> str:
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {value.tolist()}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_described, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_described(key)}: {_described(value[key])}" for key in value) + "}"
    if isinstance(value, functools.partial):
        return f"partial({_described(value.func)}, {_described(value.args)}, {_described(value.keywords)})"
    if isinstance(value, type | types.BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, types.FunctionType) and value.__closure__ is None:
        return f"{value.__module__}.{value.__qualname__} {_file_digest(value)}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return f"{_described(type(value))}({_described(fields)})"
    if isinstance(value, np.ndarray):
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"{value.dtype} {value.shape} {content}"
    raise _NoIdentityError


def _file_digest(thing: Callable[..., object]) -> str:
    """Of the source file of a class or function."""
    try:
        return _content_digest(inspect.getfile(thing))
    except (OSError, TypeError) as error:
        raise _NoIdentityError from error


@functools.cache
def _content_digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()

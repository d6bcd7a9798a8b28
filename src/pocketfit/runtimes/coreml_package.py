"""A `.mlpackage` folder: written so that equal programs give equal bytes, and looked into without running it.

    model.mlpackage/
      Manifest.json                               which item is the model
      Data/com.apple.CoreML/model.mlmodel         the program, a protobuf
      Data/com.apple.CoreML/weights/weight.bin    its large constants

coremltools identifies the items by random numbers and adds a file for debuggers; here the identifiers come from the
items' content, and what Xcode does not need is left out.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketfit.types import KernelUse

__all__ = ["Operation", "kernels", "operations", "write_package"]

_AUTHOR = "com.apple.CoreML"
_COMPUTE_OPS = frozenset({"conv", "conv_transpose", "linear", "matmul", "einsum"})
_FACTORS = ("x", "y", "values")
_RESTORE_WEIGHT = frozenset({"constexpr_affine_dequantize", "constexpr_blockwise_shift_scale"})


@dataclass(frozen=True)
class Operation:
    """One operation of a program.

    Args:
        kind: as the specification names it, such as "conv".
        inputs: names of the values it reads, by parameter; constants written in place are left out.
        outputs: names of the values it gives.
    """

    kind: str
    inputs: dict[str, tuple[str, ...]]
    outputs: tuple[str, ...]


def write_package(spec: Any, weights: Path, package: Path) -> None:
    """Write the package.

    Args:
        spec: the model's protobuf; what it says of its makers is dropped.
        weights: file of its large constants; need not exist where it has none.
        package: folder to be made.
    """
    data = package / "Data" / _AUTHOR
    data.mkdir(parents=True)
    spec.description.metadata.Clear()
    (data / "model.mlmodel").write_bytes(spec.SerializeToString(deterministic=True))
    items = [_item(data / "model.mlmodel", "model.mlmodel", "CoreML Model Specification")]
    if weights.exists():
        (data / "weights").mkdir()
        shutil.copyfile(weights, data / "weights" / "weight.bin")
        items.append(_item(data / "weights" / "weight.bin", "weights", "CoreML Model Weights"))
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": dict(sorted(items)),
        "rootModelIdentifier": items[0][0],
    }
    # As coremltools spells it, to the last line break: it writes the file anew whenever it opens a package, and a
    # bundle's files have to stay what they were.
    (package / "Manifest.json").write_text(json.dumps(manifest, indent=4) + "\n", encoding="utf-8", newline="\n")


def operations(spec: Any) -> Iterator[Operation]:
    """Every operation of the main function, in the order of the program."""
    function = spec.mlProgram.functions["main"]
    for operation in function.block_specializations[function.opset].operations:
        inputs = {
            parameter: tuple(binding.name for binding in argument.arguments if binding.name)
            for parameter, argument in operation.inputs.items()
        }
        yield Operation(operation.type, inputs, tuple(value.name for value in operation.outputs))


def kernels(spec: Any) -> KernelUse:
    """How many layers read INT8 activations and INT8 weights."""
    program = list(operations(spec))
    kinds = {name: operation.kind for operation in program for name in operation.outputs}
    compute = [operation for operation in program if operation.kind in _COMPUTE_OPS]
    return KernelUse(
        int8=sum(_reads_int8(operation, kinds) for operation in compute),
        total=len(compute),
        how="layers in the file that read INT8 activations and weights; the device decides how it multiplies them",
    )


def _reads_int8(operation: Operation, kinds: dict[str, str]) -> bool:
    """A layer reads activations and a weight; a matrix product reads two activations."""
    weight = kinds.get(_first(operation, "weight"), "")
    if "weight" in operation.inputs:
        return kinds.get(_first(operation, "x"), "") == "dequantize" and weight in _RESTORE_WEIGHT
    factors = [kinds.get(name, "") for parameter in _FACTORS for name in operation.inputs.get(parameter, ())]
    return bool(factors) and all(kind == "dequantize" or kind in _RESTORE_WEIGHT for kind in factors)


def _first(operation: Operation, parameter: str) -> str:
    return next(iter(operation.inputs.get(parameter, ())), "")


def _item(path: Path, name: str, description: str) -> tuple[str, dict[str, str]]:
    digest = hashlib.sha256(f"{name}\0".encode() + path.read_bytes()).digest()
    entry = {"author": _AUTHOR, "description": description, "name": name, "path": f"{_AUTHOR}/{name}"}
    return str(uuid.UUID(bytes=digest[:16], version=4)).upper(), entry

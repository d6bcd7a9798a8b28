"""Weights of a `.pte` file in half, computed with in float32.

ExecuTorch's converter stores what XNNPACK multiplies in float32 as float32, or turns the whole graph into half, whose
sums are then rounded to half. XNNPACK itself also takes weights in half beside float32 inputs and widens them when the
program is loaded. So the finished file is rewritten: the type, size and name of each weight where the delegate's graph
gives them, and the bytes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

import numpy as np

from pocketfit.runtimes.executorch_format import FLOAT32, HALF, DelegateGraph, Table

__all__ = ["store_in_half"]

_ALIGNMENT = 16


def store_in_half(content: bytes) -> bytes:
    """Store the weights of XNNPACK's layers in half where half holds all of their numbers exactly.

    Args:
        content: of a `.pte` file.

    Returns:
        The file's new content; the answers are the same.
    """
    from executorch.exir._serialize import _deserialize_pte_binary, _serialize_pte_binary
    from executorch.exir._serialize._named_data_store import NamedDataStore

    file = _deserialize_pte_binary(content)
    if file.named_data is None:  # nothing was delegated
        return content
    constants = {name: file.named_data.buffers[entry.buffer_index] for name, entry in file.named_data.pte_data.items()}
    store = NamedDataStore()
    for plan in file.program.execution_plan:
        for delegate in plan.delegates:
            graph = DelegateGraph(file.program.backend_delegate_data[delegate.processed.index].data)
            constants |= _halve(graph, constants)
            file.program.backend_delegate_data[delegate.processed.index].data = graph.packed()
            for name in filter(None, (entry.text(2) for entry in graph.constants())):
                store.add_named_data(name, constants[name], _ALIGNMENT)
    file.named_data = store.get_named_data_store_output()
    return bytes(_serialize_pte_binary(file, extract_delegate_segments=True))


def _halve(graph: DelegateGraph, constants: Mapping[str, bytes]) -> dict[str, bytes]:
    """Change the graph's weights to half where nothing is lost; return the new constants."""
    halves: dict[str, bytes] = {}
    for layer in graph.layers():
        if layer.value is None or layer.constant is None or not layer.has_weight or layer.datatype != FLOAT32:
            continue
        wide = np.frombuffer(constants[layer.constant.text(2)], np.float32)
        with np.errstate(over="ignore"):
            half = wide.astype(np.float16)
        if np.array_equal(half, wide):
            halves[_rename(layer.value, layer.constant, half.tobytes())] = half.tobytes()
    return halves


def _rename(value: Table, constant: Table, content: bytes) -> str:
    """Say in the graph that the weight is half and what it is now called: the hash of its content, as before."""
    name = hashlib.sha256(content).hexdigest()
    place, length = constant.text_place(2)
    assert length == len(name)
    value.data[place : place + length] = name.encode()  # type: ignore[index]
    struct.pack_into("<h", value.data, value.place(0), HALF)
    struct.pack_into("<Q", value.data, constant.place(1), len(content))
    return name

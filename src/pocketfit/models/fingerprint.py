"""The identity of a graph: its structure and its weights, the same in every process."""

from __future__ import annotations

import hashlib

from torch.fx import GraphModule, Node

from pocketfit.graph.attributes import get_tensor

__all__ = ["fingerprint"]


def fingerprint(graph: GraphModule) -> str:
    """Sha256, in hexadecimal, over every node with its arguments and over the bytes of every weight."""
    digest = hashlib.sha256()
    for node in graph.graph.nodes:
        # Node arguments print as node names, which the canonical form makes the same for the same model.
        digest.update(f"{node.op} {node.name} {node.target} {node.args} {node.kwargs}\n".encode())
        if node.op == "get_attr":
            digest.update(_content(graph, node))
    return digest.hexdigest()


def _content(graph: GraphModule, node: Node) -> bytes:
    tensor = get_tensor(graph, str(node.target)).cpu().contiguous()
    return f"{tensor.dtype} {tuple(tensor.shape)}\n".encode() + tensor.numpy().tobytes()

"""What an ONNX file computes, as plain data: nodes in order, weights, inputs, outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from pocketfit.errors import ModelError
from pocketfit.models.onnx_model.read import array_of
from pocketfit.models.onnx_ops import OPERATORS
from pocketfit.models.onnx_ops.call import Numbers, OnnxNode

__all__ = ["Input", "Program", "program_of", "without_rest"]


@dataclass(frozen=True)
class Input:
    """What a file is given.

    Args:
        name: in the file.
        sizes: of all axes, the batch first; None for one that may have any.
    """

    name: str
    sizes: tuple[int | None, ...]


@dataclass(frozen=True)
class Program:
    """A model.

    Args:
        nodes: those that the outputs need, each after those it reads.
        weights: constant values by name.
        inputs: at least one.
        outputs: their names.
    """

    nodes: tuple[OnnxNode, ...]
    weights: Mapping[str, Numbers]
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]

    @property
    def batch(self) -> int | None:
        """The batch that is written in the file; None where it may be any."""
        return next((given.sizes[0] for given in self.inputs if given.sizes and given.sizes[0] is not None), None)

    def readers(self, value: str) -> list[OnnxNode]:
        """The nodes that read a value."""
        return [node for node in self.nodes if value in node.inputs]


def program_of(model: ModelProto, output: str | None = None) -> Program:
    """Read the graph of a file.

    Args:
        model: as `read_file` gives it.
        output: the one to keep, or several joined by commas; None for all.

    Raises:
        ModelError: inputs that are no floats, an output that the file does not have, or operators without a
            counterpart.
    """
    graph = model.graph
    weights = {tensor.name: array_of(tensor) for tensor in graph.initializer}
    names = _outputs(graph, output)
    nodes = _needed([_node(node, model) for node in graph.node], names)
    given = _inputs(graph, weights, {*names, *(read for node in nodes for read in node.inputs)})
    _check_operators(nodes)
    return Program(tuple(nodes), weights, given, names)


def without_rest(model: ModelProto, program: Program) -> ModelProto:
    """The file with nothing but what the program's outputs need: it runs on the program's inputs alone."""
    given = {one.name for one in program.inputs}
    names = {name for node in program.nodes for name in node.outputs if name}
    kept = ModelProto()
    kept.CopyFrom(model)
    for part, wanted in (
        (kept.graph.node, [node for node in model.graph.node if names.intersection(node.output)]),
        (kept.graph.input, [one for one in model.graph.input if one.name in given or one.name in program.weights]),
        (kept.graph.output, [one for one in model.graph.output if one.name in program.outputs]),
    ):
        del part[:]
        part.extend(wanted)
    return kept


def _inputs(graph: GraphProto, weights: Mapping[str, Numbers], read: set[str]) -> tuple[Input, ...]:
    inputs = [value for value in graph.input if value.name not in weights and value.name in read]
    if not inputs:
        raise ModelError("The model has no input that its outputs depend on. Say which outputs count: model.onnx#name.")
    for value in inputs:
        element = value.type.tensor_type.elem_type
        if element != TensorProto.FLOAT:
            raise ModelError(
                f"The input {value.name!r} is of type {TensorProto.DataType.Name(element)}; Pocketfit feeds floats. "
                "Cut the conversion off the front of the model, or export a module that fills this input in."
            )
    return tuple(Input(value.name, _sizes(value)) for value in inputs)


def _outputs(graph: GraphProto, wanted: str | None) -> tuple[str, ...]:
    names: list[str] = [value.name for value in graph.output]
    if wanted is None:
        return tuple(names)
    chosen = (wanted,) if wanted in names else tuple(wanted.split(","))
    for name in chosen:
        if name not in names:
            raise ModelError(f"The model has {len(names)} outputs: {_names(graph.output)}. {name!r} is none of them.")
    return chosen


def _names(values: Sequence[ValueInfoProto]) -> str:
    return ", ".join(repr(value.name) for value in values) or "none"


def _sizes(value: ValueInfoProto) -> tuple[int | None, ...]:
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.HasField("dim_value") and axis.dim_value > 0 else None for axis in axes)


def _node(node: NodeProto, model: ModelProto) -> OnnxNode:
    domain = "" if node.domain == "ai.onnx" else node.domain
    opset = next((entry.version for entry in model.opset_import if entry.domain.replace("ai.onnx", "") == domain), 0)
    attributes = {attribute.name: _attribute(attribute) for attribute in node.attribute}
    inputs, outputs = tuple(node.input), tuple(node.output)
    return OnnxNode(node.op_type, node.name, opset, inputs, outputs, domain, attributes, _scope(node))


def _scope(node: NodeProto) -> str:
    """torch writes the modules around a node into its metadata, from the outermost in, and the node itself last."""
    written = next((entry.value for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"), "")
    scopes = re.findall(r"'([\w.]*)'", written)
    return scopes[-2] if len(scopes) > 1 else ""


def _attribute(attribute: AttributeProto) -> Any:
    if attribute.type == AttributeProto.TENSOR:
        return array_of(attribute.t)
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if attribute.type == AttributeProto.STRINGS:
        return [text.decode() for text in value]
    return list(value) if isinstance(value, Sequence) else value


def _needed(nodes: Sequence[OnnxNode], outputs: Sequence[str]) -> list[OnnxNode]:
    """The nodes that these outputs need; an output of theirs that nothing needs becomes ""."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            kept.append(_without(node, needed))
            needed.update(node.inputs)
    return kept[::-1]


def _without(node: OnnxNode, needed: set[str]) -> OnnxNode:
    outputs = tuple(name if name in needed else "" for name in node.outputs)
    return replace(node, outputs=outputs)


_QUANTIZED = "The model is quantized already, and Pocketfit needs float weights: give the model from before that."
_CONTROL = "Branches and loops do not fit into a graph for phones: export the model with fixed sizes, or simplify it."
_VALUES = "What it returns has a size that depends on the image: cut the model before it, and do this step in the app."
_RANDOM = "A model that draws random numbers cannot be deployed: export it in eval mode."
_LISTS = "Lists and texts do not fit into a graph for phones: cut the model before it."
_HELP = (
    (("If", "Loop", "Scan"), _CONTROL),
    (("NonMaxSuppression", "NonZero", "Unique", "Compress"), _VALUES),
    (("Random", "Multinomial", "Bernoulli"), _RANDOM),
    (("Sequence", "SplitToSequence", "ConcatFromSequence", "Optional", "String", "Tfidf"), _LISTS),
)


def _check_operators(nodes: Sequence[OnnxNode]) -> None:
    unknown = list(_unknown(nodes))
    if unknown:
        more = f" {len(unknown) - 1} more cannot be turned either." if len(unknown) > 1 else ""
        raise ModelError(f"{unknown[0]} has no counterpart in torch here. {_help(unknown[0])}{more}")


def _unknown(nodes: Sequence[OnnxNode]) -> Iterator[OnnxNode]:
    return (node for node in nodes if node.domain != "" or node.op not in OPERATORS)


def _help(node: OnnxNode) -> str:
    if "Quantize" in node.op or node.op.startswith("QLinear") or node.op.endswith("Integer"):
        return _QUANTIZED
    for beginnings, text in _HELP:
        if node.op.startswith(beginnings):
            return text
    if node.domain:
        return "It is no operator of ONNX itself: export the model without it, or from before a runtime optimised it."
    return "Export the model so that this step is made of other operators, or give the PyTorch model itself."

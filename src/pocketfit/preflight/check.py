"""Everything that can be said of a model and a runtime before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.placement import place
from pocketfit.graph.calls import by_op, calls, op_name
from pocketfit.graph.recorder import record
from pocketfit.preflight.blame import Place, place_of
from pocketfit.preflight.delegates import DELEGATES, Delegate
from pocketfit.preflight.int8 import Int8, expect
from pocketfit.preflight.partitions import Partitions, partition
from pocketfit.preflight.rewrites import expansions, offered
from pocketfit.preflight.support import Support, Verdict, of_op
from pocketfit.types import LoadedModel, Precision, Runtime

__all__ = ["DelegateOutlook", "Doubt", "Outlook", "check"]


@dataclass(frozen=True)
class Doubt:
    """An op that may keep a model from being converted.

    Args:
        op: aten name, such as `aten.silu.default`.
        count: how often the model uses it.
        place: of its first use.
        support: what is known of it.
        becomes: the ops it can be rewritten into; empty where no rewrite helps.
    """

    op: str
    count: int
    place: Place
    support: Support
    becomes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DelegateOutlook:
    """What a delegate would take.

    Args:
        delegate: its name.
        partitions: how the ops divide.
        macs_share: of all multiply-accumulates, 0..1, on the delegate.
        fallback_ops: aten names of ops that stay on the CPU.
        int8: whether it computes in INT8.
        source: where that is documented.
    """

    delegate: str
    partitions: Partitions
    macs_share: float
    fallback_ops: tuple[str, ...]
    int8: bool
    source: str


@dataclass(frozen=True)
class Outlook:
    """What is to be expected of one runtime.

    Args:
        runtime: its name.
        ops: number of ops in the model.
        doubts: ops that are refused, taken in part, or were never tried.
        precisions: that its files can have.
        int8: whether INT8 would pay.
        delegates: what each accelerator would take.
    """

    runtime: str
    ops: int
    doubts: tuple[Doubt, ...]
    precisions: tuple[Precision, ...]
    int8: Int8
    delegates: tuple[DelegateOutlook, ...]

    @property
    def refused(self) -> tuple[Doubt, ...]:
        """Those that stop the conversion as the model stands."""
        return tuple(doubt for doubt in self.doubts if doubt.support.verdict is Verdict.REFUSED)


def check(model: LoadedModel, runtimes: Sequence[Runtime]) -> tuple[Outlook, ...]:
    """What is to be expected of a model in each runtime; nothing is converted.

    Args:
        model: in canonical form.
        runtimes: need not be installed.
    """
    records = record(model.graph, torch.zeros(1, *model.row_shape))
    macs = {one.node.name: one.macs for one in records}
    ops = by_op(model.graph)
    names = [runtime.info.name for runtime in runtimes]
    refused = {op for op, nodes in ops.items() for name in names if of_op(nodes[0], name).verdict is Verdict.REFUSED}
    expanded = expansions(model, refused)
    placement = place(model.graph)
    return tuple(
        Outlook(
            runtime=info.name,
            ops=sum(map(len, ops.values())),
            doubts=_doubts(ops, info.name, expanded),
            precisions=info.precisions,
            int8=expect(model.graph, placement, macs, info),
            delegates=tuple(_accelerated(model.graph, macs, one) for one in DELEGATES if one.runtime == info.name),
        )
        for info in (runtime.info for runtime in runtimes)
    )


def _doubts(
    ops: Mapping[str, Sequence[Node]], runtime: str, expanded: Mapping[str, Sequence[Node]]
) -> tuple[Doubt, ...]:
    support = {op: of_op(nodes[0], runtime) for op, nodes in ops.items()}
    refused = {op: expanded[op] for op in expanded if support[op].verdict is Verdict.REFUSED}
    rewrites = offered(refused, runtime)
    return tuple(
        Doubt(op, len(nodes), place_of(nodes[0]), support[op], rewrites.get(op, ()))
        for op, nodes in ops.items()
        if support[op].verdict is not Verdict.TAKEN
    )


def _accelerated(graph: GraphModule, macs: Mapping[str, int], delegate: Delegate) -> DelegateOutlook:
    ops = calls(graph)
    found = partition(ops, lambda node: delegate.takes(op_name(node)))
    total = sum(macs.values())
    names = {node.name: node for node in ops}
    return DelegateOutlook(
        delegate=delegate.name,
        partitions=found,
        macs_share=sum(macs[name] for name in found.delegated) / total if total else 0.0,
        fallback_ops=tuple(sorted({op_name(names[name]) for name in found.fallback})),
        int8=delegate.int8,
        source=delegate.source,
    )

"""Which ops each runtime's converter takes, as measured by `python -m benchmarks op_support`.

Each op was converted in a small network of its own, run and compared. The table says what was tried with the versions
it names, not what a converter of another version does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

from torch.fx import Node

__all__ = ["Support", "Verdict", "of_op", "tried_versions"]

PARTLY = "partly: "


class Verdict(StrEnum):
    """Whether a converter takes an op."""

    TAKEN = "taken"
    PARTLY = "partly"
    REFUSED = "refused"
    UNTRIED = "untried"


@dataclass(frozen=True)
class Support:
    """What is known of one op in one runtime.

    Args:
        verdict: whether it is taken.
        why: what went wrong where it was tried; empty where nothing did.
    """

    verdict: Verdict
    why: str = ""


def of_op(node: Node, runtime: str) -> Support:
    """Whether the runtime's converter takes what this node does.

    Args:
        node: of a canonical graph.
        runtime: its name.
    """
    known = _table().ops.get(str(node.target), {}).get(runtime)
    if known is None:
        return Support(Verdict.UNTRIED)
    if not known:
        return Support(Verdict.TAKEN)
    if known.startswith(PARTLY):
        return Support(Verdict.PARTLY, known.removeprefix(PARTLY))
    return Support(Verdict.REFUSED, known)


def tried_versions() -> Mapping[str, str]:
    """Of the packages the table was measured with."""
    return _table().versions


@dataclass(frozen=True)
class _Table:
    versions: Mapping[str, str]
    ops: Mapping[str, Mapping[str, str]]


@cache
def _table() -> _Table:
    return _Table(**json.loads(resources.files(__package__).joinpath("op_support.json").read_text()))

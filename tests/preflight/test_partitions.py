from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.fx import Graph, Node

from pocketfit.preflight.partitions import partition


def chain(words: str) -> list[Node]:
    """One op after the other, named by letters; capitals are the delegate's."""
    graph = Graph()
    node = graph.placeholder("x")
    return [node := graph.call_function(torch.relu, (node,), name=f"{word}{index}") for index, word in enumerate(words)]


def capital(node: Node) -> bool:
    return node.name[0].isupper()


@pytest.mark.parametrize(
    ("words", "count"), [("", 0), ("A", 1), ("a", 0), ("AAA", 1), ("AaA", 2), ("aAa", 1), ("AaAaA", 3), ("aaAA", 1)]
)
def test_pieces_of_a_chain_are_runs(words: str, count: int) -> None:
    assert partition(chain(words), capital).count == count


def test_branches_that_wait_for_nothing_join_one_piece() -> None:
    """What the CPU computes beside the delegate does not break the delegate's piece."""
    graph = Graph()
    x = graph.placeholder("x")
    left = graph.call_function(torch.relu, (x,), name="A0")
    right = graph.call_function(torch.relu, (x,), name="b0")
    further = graph.call_function(torch.relu, (left,), name="A1")
    last = graph.call_function(torch.add, (further, right), name="A2")
    found = partition([left, right, further, last], capital)
    assert found.count == 2
    assert (found.delegated, found.fallback) == (("A0", "A1", "A2"), ("b0",))


@given(st.text("aA", max_size=12))
def test_every_op_is_on_one_side(words: str) -> None:
    ops = chain(words)
    found = partition(ops, capital)
    assert sorted((*found.delegated, *found.fallback)) == sorted(node.name for node in ops)
    assert found.count <= len(found.delegated)


def test_all_or_nothing() -> None:
    ops: list[Node] = chain("abc")
    always: Callable[[Node], bool] = lambda node: True  # noqa: E731
    assert partition(ops, always).count == 1
    assert partition(ops, lambda node: False).count == 0

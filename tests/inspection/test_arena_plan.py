"""Plans of whole models; what a plan promises is tried by running the model inside the arena it describes."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from math import prod
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from pocketfit.inspection.arena.plan import ArenaPlan, plan_arena
from pocketfit.inspection.arena.storage import shares_input


class Chain(nn.Sequential):
    def __init__(self) -> None:
        layers = nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 10)
        super().__init__(*layers)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return F.relu(x + self.second(F.relu(self.second(x))))


class Diamond(nn.Module):
    """Its wide branches are written side by side; one after the other they take half as much."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.ModuleList(nn.Conv2d(4, 32, 1) for _ in range(3))
        self.narrow = nn.ModuleList(nn.Conv2d(32, 2, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        wide = [layer(x) for layer in self.wide]
        return torch.cat([layer(one) for layer, one in zip(self.narrow, wide, strict=True)], 1)


class Shuffle(nn.Module):
    """Parts of a tensor, in place where they are one piece, and a channel shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 2, 3, padding=1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            first, second = x.chunk(2, 1)
            x = torch.cat([first, F.relu(self.layer(second))], 1)
            x = x.view(1, 2, 2, 4, 4).transpose(1, 2).contiguous().view(1, 4, 4, 4)
        return x - x[:, :1] * x.mean((2, 3), keepdim=True)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out, self.norm = nn.Linear(4, 12), nn.Linear(4, 4), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + self.out(F.softmax(q @ k.transpose(1, 2), -1) @ v)
        return F.gelu(x).topk(2)[0]


MODELS = (Chain, Residual, Diamond, Shuffle, Attention)
SHAPE = (1, 4, 4, 4)


def export(kind: Callable[[], nn.Module]) -> GraphModule:
    torch.manual_seed(0)
    graph = torch.export.export(kind().eval(), (torch.zeros(SHAPE),)).module(check_guards=False)
    assert isinstance(graph, GraphModule)
    return graph


def test_what_is_written_in_place_is_named() -> None:
    assert plan_arena(export(Chain)).in_place == {"relu": "conv2d"}
    # The sum is written over the shortcut, which it is the last to read.
    assert plan_arena(export(Residual)).in_place == {"relu": "conv2d_1", "add": "conv2d", "relu_1": "add"}
    assert plan_arena(export(Chain), in_place=False).in_place == {}


def test_a_chain_takes_its_largest_pair() -> None:
    plan = plan_arena(export(Chain))
    # The convolution: 4 and 8 channels of 4x4; its ReLU is written in place.
    assert plan.arena_bytes == plan.lower_bound_bytes == plan.greedy_bytes == 12 * 16 * 4
    assert plan.peak_node == plan.order[plan.peak_step] == "conv2d"
    assert [(one.name, one.source, one.size) for one in plan.alive] == [("conv2d", "0", 512), ("input_1", "", 256)]
    assert plan.offsets["conv2d"] == plan.offsets["relu"]


def test_without_sharing_a_relu_takes_a_tensor_of_its_own() -> None:
    assert plan_arena(export(Chain), in_place=False).arena_bytes == 16 * 16 * 4


def test_a_residual_keeps_one_more() -> None:
    plan = plan_arena(export(Residual))
    assert plan.arena_bytes == plan.lower_bound_bytes == 3 * 4 * 16 * 4
    assert plan.peak_node == "conv2d_2"
    assert plan.given_order_bytes == plan.arena_bytes


def test_reordering_lowers_a_diamond() -> None:
    graph = export(Diamond)
    given, found = plan_arena(graph, reorder=False), plan_arena(graph)
    wide, narrow, image = 32 * 64, 2 * 64, 4 * 64
    assert given.arena_bytes == given.lower_bound_bytes == image + 3 * wide
    assert found.arena_bytes == found.lower_bound_bytes == image + wide + 2 * narrow
    assert found.given_order_bytes == given.arena_bytes
    assert found.order != given.order


def test_int8_takes_a_quarter() -> None:
    assert plan_arena(export(Chain), 1).arena_bytes * 4 == plan_arena(export(Chain)).arena_bytes


def test_a_plan_is_frozen_and_the_same_every_time() -> None:
    plan = plan_arena(export(Attention))
    assert plan == plan_arena(export(Attention))
    with pytest.raises(FrozenInstanceError):
        plan.arena_bytes = 0  # type: ignore[misc]


def test_a_model_without_arithmetic_takes_its_input() -> None:
    plan = plan_arena(export(nn.Flatten))
    assert (plan.arena_bytes, plan.order) == (4 * 16 * 4, ("input_1", "flatten", "output"))


@pytest.mark.parametrize("reorder", [True, False])
@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("kind", MODELS)
def test_a_model_runs_inside_its_arena(kind: Callable[[], nn.Module], in_place: bool, reorder: bool) -> None:
    graph = export(kind)
    plan = plan_arena(graph, in_place=in_place, reorder=reorder)
    image = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    assert plan.lower_bound_bytes <= plan.order_bound_bytes <= plan.arena_bytes <= plan.greedy_bytes
    assert plan.order_bound_bytes == sum(one.size for one in plan.alive)
    # The same ops on the same numbers, in other strides at most: float32 sums of a few numbers of about 1.
    torch.testing.assert_close(_Arena(graph, plan).run(image), graph(image), rtol=1e-5, atol=1e-5)


class _Arena:
    """Runs a graph in the order of a plan, with every tensor in the plan's bytes and nowhere else.

    An output is written half by half, and its inputs are read again for the second half: what may not be computed in
    place gives a wrong answer here.
    """

    def __init__(self, graph: GraphModule, plan: ArenaPlan) -> None:
        self.plan = plan
        self.nodes = {node.name: node for node in graph.graph.nodes}
        self.weights = {
            node: graph.get_parameter(str(node.target)) for node in graph.graph.nodes if node.op == "get_attr"
        }
        self.bytes = torch.zeros(plan.arena_bytes, dtype=torch.uint8)

    def run(self, image: Tensor) -> Tensor:
        for name in self.plan.order:
            node = self.nodes[name]
            if node.op == "placeholder":
                self.write(node.name, image, 0, image.numel())
            elif node.op == "call_function" and not self.is_view(node):
                self.compute(node)
        answer = self.value(next(iter(self.nodes["output"].all_input_nodes)))
        assert isinstance(answer, Tensor)
        return answer

    def is_view(self, node: Node) -> bool:
        return "getitem" in str(node.target) or shares_input(node)

    def compute(self, node: Node) -> None:
        for half in range(2):
            for name, leaf in self.named(node, self.call(node)):
                middle = leaf.numel() // 2
                self.write(name, leaf, *((0, middle) if half == 0 else (middle, leaf.numel())))

    def call(self, node: Node) -> Any:
        assert callable(node.target)
        arguments, keywords = torch.fx.map_arg((node.args, node.kwargs), self.value)
        with torch.no_grad():
            return node.target(*arguments, **keywords)

    def value(self, node: Node) -> Any:
        """Of a view: made from its input as it lies in the arena now."""
        if node.op == "get_attr":
            return self.weights[node]
        if node.op == "call_function" and self.is_view(node):
            return self.call(node)
        found = [self.read(name, leaf) for name, leaf in self.named(node, node.meta["val"])]
        return found if isinstance(node.meta["val"], list | tuple) else found[0]

    def named(self, node: Node, value: Any) -> list[tuple[str, Tensor]]:
        if isinstance(value, list | tuple):
            return [(f"{node.name}.{index}", leaf) for index, leaf in enumerate(value)]
        return [(node.name, value)]

    def write(self, name: str, value: Tensor, start: int, stop: int) -> None:
        offset, width = self.plan.offsets[name], value.dtype.itemsize
        content = value.detach().contiguous().flatten()[start:stop].view(torch.uint8)
        self.bytes[offset + start * width : offset + stop * width] = content

    def read(self, name: str, like: Tensor) -> Tensor:
        offset, size = self.plan.offsets[name], prod(like.shape) * like.dtype.itemsize
        return self.bytes[offset : offset + size].clone().view(like.dtype).reshape(tuple(like.shape))

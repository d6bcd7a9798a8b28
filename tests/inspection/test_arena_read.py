from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim
from torch.fx import GraphModule

from pocketfit.errors import ModelError
from pocketfit.inspection.arena.program import Program, bits
from pocketfit.inspection.arena.read import read_program


class Of(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.zeros(8, 8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x) + self.weight[0, 0, 0, 0]


def export(module: nn.Module, shape: tuple[int, ...] = (8, 4, 4), dynamic: bool = False) -> GraphModule:
    example = torch.zeros(2 if dynamic else 1, *shape)
    shapes = ({0: Dim.DYNAMIC},) if dynamic else None
    graph = torch.export.export(module.eval(), (example,), dynamic_shapes=shapes).module(check_guards=False)
    assert isinstance(graph, GraphModule)
    return graph


def sizes(program: Program) -> dict[str, int]:
    return {buffer.name: buffer.size for buffer in program.buffers}


def names(program: Program) -> list[str]:
    return [op.name for op in program.ops]


@pytest.mark.parametrize("dynamic", [False, True])
def test_sizes_are_for_a_batch_of_one_and_weights_do_not_count(dynamic: bool) -> None:
    program = read_program(export(nn.Conv2d(8, 5, 3), dynamic=dynamic))
    assert sizes(program) == {"input_1": 8 * 16 * 4, "conv2d": 5 * 4 * 4 + 48}  # 80 bytes fill two units of 64
    assert [op.reads for op in program.ops] == [(), (0,), (1,)]
    assert [op.needs for op in program.ops] == [(), (0,), (0, 1)]


def test_sizes_in_terms_of_the_batch_are_for_one_too() -> None:
    windows = read_program(export(Of(lambda x: x.permute(0, 2, 3, 1).reshape(-1, 8) * 2), dynamic=True))
    assert sizes(windows)["permute"] == sizes(windows)["mul"] == 8 * 16 * 4


def test_bytes_per_element_may_depend_on_the_node() -> None:
    graph = export(nn.Sequential(nn.Conv2d(8, 16, 1), nn.Sigmoid()))
    assert sizes(read_program(graph, 1)) == {"input_1": 128, "conv2d": 256, "sigmoid": 256}
    mixed = read_program(graph, lambda node: 1 if node.name == "conv2d" else 4)
    assert sizes(mixed) == {"input_1": 512, "conv2d": 256, "sigmoid": 1024}


def test_tensors_of_integers_keep_their_size() -> None:
    program = read_program(export(Of(lambda x: x.argmax(1, keepdim=True).float())), 1)
    assert sizes(program)["argmax"] == 16 * 8


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.flatten(1),
        lambda x: x.view(1, 2, 4, 16),
        lambda x: x.reshape(1, -1).reshape(x.shape),
        lambda x: x.unsqueeze(1).squeeze(1),
        lambda x: x.permute(1, 0, 2, 3),
        lambda x: x.chunk(2, 1)[1],
        lambda x: x.split([1, 7], 1)[0],
        lambda x: x[:, 2:5],
        lambda x: x[:, 3],
    ],
)
def test_views_lie_in_the_memory_of_their_input(view: Callable[[Tensor], Tensor]) -> None:
    program = read_program(export(Of(lambda x: view(torch.exp(x)))))
    exp = next(op for op in program.ops if op.name == "exp")
    add = next(op for op in program.ops if op.name.startswith("add"))
    assert add.reads == exp.writes


@pytest.mark.parametrize(
    ("copy", "written"),
    [
        (lambda x: x.permute(0, 2, 3, 1), "permute"),
        (lambda x: x.transpose(2, 3), "transpose"),
        (lambda x: x[:, ::2], "slice_1"),
        (lambda x: x[:, :, 1:3], "slice_1"),
        (lambda x: x.chunk(2, 2)[1], "chunk.1"),
        (lambda x: x.mean((2, 3), keepdim=True).expand(1, 8, 4, 4), "expand"),
    ],
)
def test_what_is_not_one_piece_is_written_anew(copy: Callable[[Tensor], Tensor], written: str) -> None:
    program = read_program(export(Of(lambda x: copy(torch.exp(x)))))
    add = next(op for op in program.ops if op.name.startswith("add"))
    assert [program.buffers[buffer].name for buffer in add.reads] == [written]


def test_outputs_of_one_op_are_buffers_of_their_own() -> None:
    program = read_program(export(Of(lambda x: torch.topk(x, 3)[0])))
    topk = next(op for op in program.ops if op.name == "topk")
    assert [program.buffers[one].name for one in topk.writes] == ["topk.0", "topk.1"]
    assert [program.readers[one] for one in topk.writes] != [0, 0]
    assert program.readers[topk.writes[1]] == 0


def test_a_shape_is_read_without_its_tensor() -> None:
    program = read_program(export(Of(lambda x: x.exp().flatten(1).reshape_as(torch.exp(x * 2)))))
    exp = [op.writes[0] for op in program.ops if op.name.startswith("exp")]
    assert [program.readers[one] > 0 for one in exp] == [True, False]


def test_a_size_is_read_without_its_tensor() -> None:
    program = read_program(export(Of(lambda x: torch.exp(x).sum((1, 2, 3)).exp2() * x.shape[0]), dynamic=True))
    readers = [program.ops[number].name for number in bits(program.readers[0])]
    assert readers == ["exp"]


def test_a_wider_element_is_not_written_over_a_narrower_one() -> None:
    # Both fill one unit of 64 bytes, and yet the second element of one is not where the other's is.
    graph = export(Of(lambda x: torch.exp(x).relu()), (4, 1, 1))
    program = read_program(graph, lambda node: 1 if node.name == "exp" else 4)
    assert not next(op for op in program.ops if op.name == "relu").over


@pytest.mark.parametrize(
    ("function", "over"),
    [
        (lambda x: F.relu(torch.exp(x)), True),
        (lambda x: F.hardswish(torch.exp(x)), True),
        (lambda x: torch.exp(x) + torch.exp(x * 2), True),
        (lambda x: torch.exp(x) * x.mean((2, 3), keepdim=True), True),
        (lambda x: torch.exp(x).flatten(1).clamp(0, 1), True),
        (lambda x: F.softmax(torch.exp(x), 1), False),
        (lambda x: F.max_pool2d(torch.exp(x), 3, 1, 1), False),
        (lambda x: torch.flip(torch.exp(x), (3,)), False),
    ],
)
def test_ops_that_work_element_by_element_may_write_over_an_input(
    function: Callable[[Tensor], Tensor], over: bool
) -> None:
    graph = export(Of(function))
    program = read_program(graph)
    assert bool(program.ops[-3].over) == over
    assert not any(op.over for op in read_program(graph, in_place=False).ops)


def test_what_is_read_a_second_time_for_another_place_is_not_overwritten() -> None:
    program = read_program(export(Of(lambda x: (y := torch.exp(x)) - y[:, :1])))
    assert not next(op for op in program.ops if op.name == "sub").over


def test_layers_are_named() -> None:
    program = read_program(export(nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU())))
    assert [buffer.source for buffer in program.buffers] == ["", "0", "1"]


def test_all_waits_for_the_inputs_and_the_output_for_all() -> None:
    program = read_program(export(Of(lambda x: x + torch.zeros(4))))
    zeros = next(op for op in program.ops if op.name == "zeros")
    assert zeros.needs == (0,)
    assert program.ops[-1].needs == tuple(range(len(program.ops) - 1))
    assert names(program)[-1] == "output"


def test_a_graph_without_shapes_is_refused() -> None:
    graph = export(nn.ReLU())
    del next(node for node in graph.graph.nodes if node.op == "call_function").meta["val"]
    with pytest.raises(ModelError, match="shape of relu is not known"):
        read_program(graph)


def test_a_graph_that_writes_into_its_inputs_is_refused() -> None:
    with pytest.raises(ModelError, match=r"relu_.* writes into its input"):
        read_program(export(nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU(inplace=True))))

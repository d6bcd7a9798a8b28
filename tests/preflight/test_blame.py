import pytest
import torch
from torch import nn

from pocketfit.errors import ConversionError
from pocketfit.models.canonical import canonicalise
from pocketfit.preflight import blame
from pocketfit.preflight.blame import explain, place_of
from pocketfit.types import LoadedModel


class Block(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.cumsum(2)  # the guilty line


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.block = Block()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(self.stem(x)).relu()


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return canonicalise(Net(), (3, 8, 8), name="net")


def test_a_place_is_the_users_own_line(model: LoadedModel) -> None:
    nodes = {node.name: node for node in model.graph.graph.nodes}
    place = place_of(nodes["cumsum"])
    assert place.layer == "block"
    assert place.line.startswith("test_blame.py:")
    assert place.code.startswith("return x.cumsum(2)")
    # Of a layer of torch's own it is the line that calls it, not one inside torch.
    assert place_of(nodes["conv2d"]).code.startswith("return self.block(self.stem(x))")
    assert str(place_of(nodes["relu"])).startswith("the model's own forward (test_blame.py:")


def test_an_error_that_names_an_op_is_told_where_it_is(model: LoadedModel) -> None:
    error = explain(ConversionError("litert", "Lowering not found: aten.cumsum.default", "Do this."), model.graph)
    assert "cumsum is used in layer 'block' (test_blame.py:" in error.message
    assert "onnxruntime" in error.message.partition("taken by")[2]
    assert (error.runtime, error.hint) == ("litert", "Do this.")


def test_an_error_that_names_none_is_put_down_to_what_is_known_to_be_refused(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = blame.of_op

    def refused(node: torch.fx.Node, runtime: str) -> object:
        return known(node, runtime) if "cumsum" not in node.name else blame_refused

    from pocketfit.preflight.support import Support, Verdict

    blame_refused = Support(Verdict.REFUSED, "no")
    monkeypatch.setattr(blame, "of_op", refused)
    error = explain(ConversionError("ncnn", "it ends with status 139"), model.graph)
    assert error.message.startswith("it ends with status 139. cumsum is used in layer 'block'")


def test_an_error_that_says_nothing_stays_as_it_is(model: LoadedModel) -> None:
    error = ConversionError("onnxruntime", "no more memory")
    assert explain(error, model.graph) is error

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from pocketfit.errors import ModelError, WeightsError
from pocketfit.graph.base import relative_error
from pocketfit.models import canonicalise, source_of

SHAPE = (3, 8, 8)


class Around(nn.Module):
    """A convolution with something around it."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 3), function

    def forward(self, x):
        return self.function(self.conv(x), x)


def canonical(function, shape=SHAPE):
    torch.manual_seed(0)
    return canonicalise(Around(function), shape, name="around")


@pytest.mark.parametrize("batch", [1, 5])
def test_the_graph_computes_what_the_module_does(tiny, model, batch):
    module = tiny()
    x = torch.randn(batch, *SHAPE, generator=torch.Generator().manual_seed(5))
    assert model.dynamic_batch
    # Batch-norm inside the weights rounds differently: some 1e-7 a layer.
    assert relative_error(module(x), model.graph(x)) < 1e-5


def test_the_form_is_canonical(model):
    assert (model.name, model.source) == ("tiny", "here")
    assert (model.input.shape, model.input.dtype) == ((1, 3, 8, 8), "float32")
    assert model.output.shape == (1, 4)
    operations = [str(node.target) for node in model.graph.graph.nodes if node.op == "call_function"]
    assert not [name for name in operations if "batch_norm" in name or "dropout" in name or "sym_size" in name]
    assert not [name for name in operations if name.split(".")[1].endswith("_")]
    assert {node.name for node in model.graph.graph.nodes} >= {model.input.name, model.output.name}


def test_a_node_knows_its_module(model):
    sources = [source_of(node) for node in model.graph.graph.nodes if node.op == "call_function"]
    assert sources[:3] == ["stem.0", "stem.2", "blocks.0.conv"]
    assert "blocks.1" in sources  # the sum
    assert sources[-1] == "head"


def test_a_module_called_twice_keeps_its_path():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3)

        def forward(self, x):
            return self.conv(self.conv(x))

    model = canonicalise(Twice(), SHAPE, name="twice")
    assert [source_of(node) for node in model.graph.graph.nodes if node.op == "call_function"] == ["conv", "conv"]


@pytest.mark.parametrize(
    "wrap", [lambda y: (y,), lambda y: [y], lambda y: {"logits": y}, lambda y: {"a": {"b": (y, None)}}]
)
def test_one_tensor_in_a_container_is_that_tensor(wrap):
    model = canonical(lambda y, x: wrap(y))
    assert isinstance(model.graph(torch.zeros(1, *SHAPE)), torch.Tensor)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_precisions_become_float32(tiny, dtype):
    model = canonicalise(tiny().to(dtype), SHAPE, name="tiny")
    assert {tensor.dtype for tensor in model.graph.state_dict().values()} == {torch.float32}


def test_a_training_module_is_put_into_eval_mode(tiny, model):
    assert canonicalise(tiny().train(), SHAPE, name="other name").fingerprint == model.fingerprint


def test_no_grad_inside_leaves_no_trace():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            with torch.no_grad():
                return self.conv(x.relu()).mean((2, 3))

    targets = [str(node.target) for node in canonicalise(Frozen(), SHAPE, name="frozen").graph.graph.nodes]
    assert targets[-4:] == ["aten.relu.default", "aten.conv2d.default", "aten.mean.dim", "output"]


def _written_through_a_view(y, x):
    view = y.flatten(1)
    y.relu_()
    return view


def test_writes_through_views_are_followed():
    model = canonical(_written_through_a_view)
    assert float(model.graph(torch.randn(2, *SHAPE)).min()) >= 0


@pytest.mark.parametrize(
    "function",
    [
        lambda y, x: y.view(1, -1),
        lambda y, x: (y - y.mean(0, keepdim=True) + 1).flatten(1),
        lambda y, x: y.flatten(1) if x.shape[0] == 1 else y.flatten(1) * 0,
    ],
    ids=["shape written out", "samples mixed", "branch on the batch"],
)
def test_what_only_works_with_one_sample_gets_a_fixed_batch(function):
    model = canonical(function)
    assert not model.dynamic_batch
    assert model.graph(torch.zeros(1, *SHAPE)).shape[0] == 1


def test_the_fingerprint_tells_structure_and_weights_apart(tiny, model):
    changed = tiny()
    with torch.no_grad():
        changed.head.bias[0] += 1e-6
    other = nn.Sequential(tiny(), nn.ReLU())
    assert (
        len({model.fingerprint, *(canonicalise(module, SHAPE, name="c").fingerprint for module in (changed, other))})
        == 3
    )


def test_the_fingerprint_is_the_same_in_another_process():
    script = """if True:
        import torch
        from torch import nn
        from pocketfit.models import canonicalise
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        print(canonicalise(net, (3, 8, 8), name="net").fingerprint)
    """
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    printed = subprocess.check_output([sys.executable, "-c", script], text=True).strip()
    assert printed == canonicalise(net, SHAPE, name="other name").fingerprint


REFUSED = {
    "its input": (lambda y, x: (y, x), "returns one tensor twice, or its input: .*, x"),
    "one output twice": (lambda y, x: (y, {"again": y}), "returns one tensor twice"),
    "two equal outputs": (lambda y, x: (y.relu(), y.relu()), "returns one tensor twice"),
    "no tensor": (lambda y, x: None, "returns no tensor but NoneType"),
    "no batch": (lambda y, x: y.mean(), "batch first"),
    "integers": (lambda y, x: y.argmax(1), "batch first"),
    "not finite": (lambda y, x: y / 0, "NaN or infinity"),
    "branch on values": (lambda y, x: y if x.sum() > 0 else x, "values of a tensor"),
    "active dropout": (lambda y, x: nn.functional.dropout(y, 0.5, training=True), "dropout"),
    "random numbers": (lambda y, x: y + torch.rand_like(y), "random numbers"),
    "statistics of the batch": (lambda y, x: nn.functional.batch_norm(y, None, None, training=True), "of the batch"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, capfd):
    function, words = REFUSED[case]
    with pytest.raises(ModelError, match=words):
        canonical(function)
    # torch prints whole graphs to stderr before it raises; one clear message is enough.
    assert capfd.readouterr().err == ""


def test_a_refused_branch_is_shown_with_its_line():
    with pytest.raises(ModelError, match=r"test_canonical\.py, line \d+"):
        canonical(REFUSED["branch on values"][0])


def test_several_tensors_come_in_the_order_of_the_module():
    model = canonical(lambda y, x: {"pooled": y.mean((2, 3)), "maps": (y, x + 1)})
    assert [output.shape for output in model.outputs] == [(1, 4), (1, 4, 6, 6), (1, 3, 8, 8)]
    assert (model.outputs[0], model.outputs[1:]) == (model.output, model.more_outputs)
    x = torch.rand(2, *SHAPE)
    returned = model.graph(x)
    assert isinstance(returned, tuple)
    assert torch.equal(returned[2], x + 1)
    names = [node.name for node in model.graph.graph.output_node().all_input_nodes]
    assert names == [output.name for output in model.outputs]


def test_another_number_of_inputs_is_refused():
    class Two(nn.Module):
        def forward(self, image, mask):
            return image * mask

    with pytest.raises(ModelError, match=r"forward\(image, mask\) cannot be called with 1 input"):
        canonicalise(Two(), SHAPE, name="two")


def test_an_optional_second_input_is_left_out():
    class Optional(nn.Module):
        def forward(self, image, mask=None):
            return image.flatten(1) if mask is None else mask

    assert canonicalise(Optional(), SHAPE, name="optional").output.shape == (1, 192)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 4), (3, 8), (3, 16, 16)])
def test_a_wrong_input_shape_quotes_the_layer(tiny, shape):
    words = "x".join(str(size) for size in shape)
    with pytest.raises(ModelError, match=rf"(?s)does not take the input {words} in \w+.*: \w+Error: .*--input"):
        canonicalise(tiny(), shape, name="tiny")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(tiny, value):
    module = tiny()
    with torch.no_grad():
        module.blocks[1].conv.weight[0, 0, 0, 0] = value
    with pytest.raises(WeightsError, match=r"blocks\.1\.conv\.weight"):
        canonicalise(module, SHAPE, name="tiny")


def test_a_weight_may_be_normalised_by_its_own_statistics():
    class Standardised(nn.Conv2d):
        def forward(self, x):
            flat = self.weight.reshape(1, len(self.weight), -1)
            weight = nn.functional.batch_norm(flat, None, None, training=True).reshape(self.weight.shape)
            return nn.functional.conv2d(x, weight, self.bias)

    model = canonicalise(Standardised(3, 4, 3), SHAPE, name="standardised")
    targets = [str(node.target) for node in model.graph.graph.nodes if node.op == "call_function"]
    assert targets == ["aten.conv2d.default"]

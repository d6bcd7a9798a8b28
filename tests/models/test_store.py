from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from pocketfit.contract import Color, Contract, Crop, Exact
from pocketfit.errors import ModelError
from pocketfit.models import canonicalise, restore, save, source_of

SHAPE = (3, 8, 8)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.norm = nn.Parameter(torch.zeros(1, 1, 8)), nn.LayerNorm(8)
        self.embed, self.qkv, self.head = nn.Conv2d(3, 8, 2, 2), nn.Linear(8, 24), nn.Linear(8, 4)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        query, key, value = self.qkv(self.norm(x)).reshape(x.shape[0], 17, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        y = nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)
        return self.head((x + y)[:, 0])


class Odd(nn.Module):
    """Constants, several results of one operation, shared weights, names that look like torch's own."""

    def __init__(self):
        super().__init__()
        self.conv2d_1, self.conv = nn.Conv2d(3, 4, 3, padding="same"), nn.Conv2d(4, 4, 3)
        self.register_buffer("x", torch.ones(4, 1, 1), persistent=False)

    def forward(self, conv2d):
        a, b = self.conv2d_1(conv2d).chunk(2, 1)
        y = self.conv(torch.cat([b, a], 1) * self.x) + torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None, None]
        y = self.conv(y) * torch.arange(4.0)
        return nn.functional.max_pool2d(y, 2).flatten(1)


class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x).view(1, -1)


@pytest.fixture(scope="module", params=[None, Attention, Odd, Fixed])
def any_model(request, model):
    torch.manual_seed(0)
    return canonicalise(request.param(), SHAPE, name="any", source="here") if request.param else model


def identity(model):
    """What plans are keyed by, and what reports print, node by node."""
    return [(n.op, n.name, str(n.target), str(n.args), source_of(n)) for n in model.graph.graph.nodes]


def test_nothing_changes_on_the_way(any_model, tmp_path):
    model = any_model
    save(model, tmp_path)
    restored = restore(tmp_path)
    assert identity(restored) == identity(model)
    assert list(restored.graph.state_dict()) == list(model.graph.state_dict())
    assert replace(restored, graph=model.graph) == model
    x = torch.randn(3 if model.dynamic_batch else 1, *SHAPE)
    torch.testing.assert_close(restored.graph(x), model.graph(x), rtol=0, atol=0)  # the very same operations


def test_a_second_time_changes_nothing_either(any_model, tmp_path):
    model = any_model
    for _ in range(2):
        save(model, tmp_path)
        model, before = restore(tmp_path), model
        assert identity(model) == identity(before)


def test_the_preprocessing_goes_along(model, tmp_path):
    spec = Contract(
        resize=Exact((9, 10)), crop=Crop((8, 8)), color=Color.BGR, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)
    )
    save(replace(model, preprocess=spec), tmp_path)
    assert restore(tmp_path).preprocess == spec


@pytest.fixture
def folder(model, tmp_path):
    save(model, tmp_path)
    return tmp_path


def test_a_missing_file_is_an_error(folder):
    (folder / "model.json").unlink()
    with pytest.raises(ModelError, match=r"model\.json"):
        restore(folder)


def test_a_damaged_graph_is_an_error(folder):
    path = folder / "model.pt2"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ModelError, match=r"model\.pt2"):
        restore(folder)


def test_files_that_do_not_belong_together_are_an_error(folder):
    fields = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**fields, "fingerprint": "0" * 64}))
    with pytest.raises(ModelError, match="not the model"):
        restore(folder)


class Positions(nn.Module):
    """Positions are counted from a mask that has the size of the batch, and is cast, as in detectors."""

    def forward(self, x):
        mask = torch.zeros(x.shape[0], *x.shape[2:]).to(torch.bool)
        return x + (~mask).cumsum(1, dtype=torch.float32)[:, None]


def test_a_model_that_casts_what_depends_on_the_batch(tmp_path):
    model = canonicalise(Positions(), (3, 4, 4), name="positions")
    save(model, tmp_path)
    assert restore(tmp_path).fingerprint == model.fingerprint
    assert not any("assert" in node.name for node in model.graph.graph.nodes)

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from pocketfit.graph import DecomposeAttention, optimise


def heads(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Queries, keys and values, four heads of six, out of an image."""
    rows = x.flatten(2)
    return rows.reshape(-1, 4, 6, 6), rows.reshape(-1, 4, 6, 6) * 0.5, rows.reshape(-1, 4, 6, 6).sin()


PLAIN = {
    "as it is": lambda x: scaled_dot_product_attention(*heads(x)),
    "scaled": lambda x: scaled_dot_product_attention(*heads(x), scale=0.3),
    "heads of batch": lambda x: scaled_dot_product_attention(*(part.flatten(0, 1) for part in heads(x))),
}
LEFT = {
    "causal": lambda x: scaled_dot_product_attention(*heads(x), is_causal=True),
    "mask": lambda x: scaled_dot_product_attention(*heads(x), attn_mask=torch.ones(6, 6, dtype=torch.bool).tril()),
    "fewer keys": lambda x: scaled_dot_product_attention(
        heads(x)[0], *(part[:, :2] for part in heads(x)[1:]), enable_gqa=True
    ),
}


@pytest.mark.parametrize("case", PLAIN)
def test_attention_becomes_two_products_and_a_softmax(export, operations, image, case):
    graph = export(PLAIN[case], image)
    assert DecomposeAttention()(graph, image) == 1
    assert [name for name in operations(graph) if name in ("matmul.default", "softmax.int")] == [
        "matmul.default",
        "softmax.int",
        "matmul.default",
    ]


@pytest.mark.parametrize("case", LEFT)
def test_what_has_more_than_queries_keys_and_values_is_left_alone(export, operations, image, case):
    graph = export(LEFT[case], image)
    assert DecomposeAttention()(graph, image) == 0
    assert "scaled_dot_product_attention.default" in operations(graph)


def test_the_default_passes_take_torchs_own_layer_apart(export, operations):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            return self.layer(x, x, x, need_weights=False)[0]

    tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
    graph = optimise(export(Attention(), tokens), tokens)
    assert operations(graph).count("matmul.default") == 2

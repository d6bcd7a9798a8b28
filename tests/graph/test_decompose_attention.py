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
SEEN = torch.ones(6, 6, dtype=torch.bool).tril(2)
ADDED = torch.zeros(6, 6).masked_fill(~SEEN, -torch.inf)
MASKED = {
    "causal": lambda x: scaled_dot_product_attention(*heads(x), is_causal=True),
    "seen": lambda x: scaled_dot_product_attention(*heads(x), attn_mask=SEEN),
    "added": lambda x: scaled_dot_product_attention(*heads(x), attn_mask=ADDED),
}
LEFT = {
    "computed mask": lambda x: scaled_dot_product_attention(*heads(x), attn_mask=heads(x)[0] > 0),
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


@pytest.mark.parametrize("case", MASKED)
def test_a_known_mask_is_added_to_the_scores(export, operations, image, case):
    graph = export(MASKED[case], image)
    assert DecomposeAttention()(graph, image) == 1
    assert "add.Tensor" in operations(graph)
    assert "scaled_dot_product_attention.default" not in operations(graph)


@pytest.mark.parametrize("case", LEFT)
def test_what_cannot_be_written_out_is_left_alone(export, operations, image, case):
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

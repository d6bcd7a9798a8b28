from __future__ import annotations

import torch
from torch import nn

from pocketfit.inspection.optimised import explain_passes


class Branches(nn.Module):
    """Two branches of a 4x4 image that become one convolution, and a dropout that does nothing."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.wide, self.narrow = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 1)
        self.drop = nn.Dropout()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.wide(x) + self.narrow(x)).relu()


def test_costs_are_counted_before_and_after() -> None:
    found = explain_passes(Branches().eval(), (2, 4, 4))
    assert (found.before.by_op, found.after.by_op) == (
        {"conv2d": 2, "add": 1, "dropout": 1, "relu": 1},
        {"conv2d": 1, "relu": 1},
    )
    assert (found.before.ops, found.after.ops) == (5, 2)
    assert (found.before.macs, found.after.macs) == (16 * 2 * 3 * (9 + 1), 16 * 2 * 3 * 9)
    # Numbers take 4 bytes. A layer reads the image (32), weight and bias and writes 48; the sum reads two of these.
    wide, narrow, written = 32 + 54 + 3 + 48, 32 + 6 + 3 + 48, 48
    assert found.before.bytes_moved == 4 * (wide + narrow + 3 * written + 2 * written)
    assert found.after.bytes_moved == 4 * (wide + 2 * written)


def test_passes_are_told_in_their_order_with_what_they_did() -> None:
    passes = explain_passes(Branches().eval(), (2, 4, 4)).passes
    changed = [one.name for one in passes if one.changes]
    assert changed == ["remove-identity", "merge-branches", "remove-dead-code"]

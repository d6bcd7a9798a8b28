from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.errors import OptionError
from pocketfit.inspection.replaced import ALL, find_replacements, random_samples, replace_ops
from pocketfit.models.canonical import canonicalise


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.silu(self.one(x))
        return self.two(x * torch.sigmoid(x)) + nn.functional.silu(x).sum()


def test_errors_are_measured_alone_and_together() -> None:
    model = canonicalise(Gated(), (3, 8, 8), name="gated")
    samples = random_samples(model)
    changed, rows = replace_ops(model, find_replacements(["sigmoid", "silu", "gelu"]), samples)
    assert [(row.name, row.count, row.equal) for row in rows] == [
        ("silu", 2, False),
        ("gelu", 0, False),
        ("sigmoid", 1, False),
        (ALL, 3, False),
    ]
    expected, got = (
        np.concatenate([one.graph(torch.from_numpy(sample)).detach().numpy() for sample in samples])
        for one in (model, changed)
    )
    difference = np.abs(got - expected) / np.ptp(expected)
    # The changed model was exported anew; its convolutions are the same, and so are the sums.
    assert rows[-1].largest == pytest.approx(difference.max(), rel=1e-3)
    assert rows[-1].rms == pytest.approx(np.sqrt(np.mean(difference**2)), rel=1e-3)
    assert rows[1].largest == 0 < rows[0].rms < rows[0].largest
    assert changed.fingerprint != model.fingerprint


def test_what_finds_nothing_is_refused() -> None:
    model = canonicalise(Gated(), (3, 8, 8), name="gated")
    with pytest.raises(OptionError, match="has none of these ops"):
        replace_ops(model, find_replacements(["bicubic"]), random_samples(model))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(OptionError, match=r"'swish' is no replacement. Allowed: silu, "):
        find_replacements(["silu", "swish"])

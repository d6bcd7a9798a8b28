"""Several outputs as one array."""

from __future__ import annotations

import numpy as np
import pytest

from pocketfit.rows import apart, together
from pocketfit.types import TensorSpec
from pocketfit.verify.parity import compare, compare_outputs

SPECS = (TensorSpec("boxes", (1, 2, 3)), TensorSpec("logits", (1, 4)), TensorSpec("score", (1,)))


def outputs(seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.standard_normal((5, *spec.shape[1:])) for spec in SPECS]


def test_together_and_apart_again():
    joined = together(outputs(0))
    assert joined.shape == (5, 2 * 3 + 4 + 1)
    for before, after in zip(outputs(0), apart(joined, SPECS), strict=True):
        assert np.array_equal(before, after)


def test_a_single_output_stays_as_it_is():
    image = np.zeros((5, 3, 4, 4))
    assert together([image]) is image
    assert apart(image, [TensorSpec("image", (1, 3, 4, 4))])[0] is image


def test_the_worst_output_counts():
    expected, got = outputs(0), outputs(0)
    got[0] = got[0] + 1e-3
    got[1] = got[1][:, ::-1]  # another answer altogether
    parity = compare_outputs(together(got), together(expected), SPECS)
    boxes, logits, _ = (compare(one, other) for one, other in zip(got, expected, strict=True))
    assert (parity.cosine, parity.sqnr_db, parity.max_error) == (logits.cosine, logits.sqnr_db, logits.max_error)
    # Whether the answers agree is asked of the first output alone.
    assert parity.agreement == boxes.agreement == pytest.approx(1.0)

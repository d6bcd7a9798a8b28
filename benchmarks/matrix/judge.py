"""Whether an artifact answers as it must, and by which rule."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pocketfit.types import Precision
from pocketfit.verify.parity import compare

__all__ = ["FLOAT_COSINE", "INT8_AGREEMENT", "INT8_COSINE", "INT8_FLOOR", "ROUNDING", "ROUNDING_DB", "Verdict", "judge"]

FLOAT_COSINE = 0.9999
INT8_AGREEMENT = 0.99
# A network that answers every sample alike would agree with anything: its outputs have to point the same way, too.
INT8_FLOOR = 0.99
# Random weights answer with near ties, and a picture has no class at all: there the whole output has to be the same but
# for values that a rounding, falling the other way in an early layer, has moved by a step.
INT8_COSINE = 0.999
# The tolerance named "rounding". A runtime that rounds the other way at every tie, or multiplies by a reciprocal
# instead of dividing, is a second quantizer of the same plan: its error against the float network is as large as the
# first's, and where the two are independent their difference has the power of both, 3 dB more. What is wrong, not
# rounded, is tens of decibels off.
ROUNDING_DB = 3.0
ROUNDING = "rounding"


@dataclass(frozen=True)
class Verdict:
    """How close, and whether that is close enough.

    Args:
        agrees: within the rule.
        rule: that was applied.
        cosine: mean over the samples.
        agreement: share of samples, 0..1, whose largest output is the same one.
        sqnr_db: expected outputs against their difference; None for equal ones.
    """

    agrees: bool
    rule: str
    cosine: float
    agreement: float
    sqnr_db: float | None


def judge(got: np.ndarray, expected: np.ndarray, exact: np.ndarray, precision: Precision) -> Verdict:
    """Compare with the float graph, or with the simulation of the INT8 plan.

    Args:
        got: N×…, of the artifact.
        expected: N×…, of what it was made from.
        exact: N×…, of the float graph.
        precision: float32 or INT8.
    """
    parity = compare(got, expected)
    if precision is Precision.FLOAT32:
        agrees, rule = parity.cosine >= FLOAT_COSINE, f"cosine ≥ {FLOAT_COSINE}"
    elif expected.ndim == 2 and parity.agreement >= INT8_AGREEMENT:
        agrees, rule = parity.cosine >= INT8_FLOOR, f"agreement ≥ {INT8_AGREEMENT:.0%} and cosine ≥ {INT8_FLOOR}"
    elif parity.cosine >= INT8_COSINE:
        agrees, rule = True, f"cosine ≥ {INT8_COSINE}"
    else:
        least = compare(expected, exact).sqnr_db - ROUNDING_DB
        agrees = parity.cosine >= INT8_FLOOR and parity.sqnr_db >= least
        rule = f"{ROUNDING}: SQNR ≥ {least:.1f} dB and cosine ≥ {INT8_FLOOR}"
    sqnr = parity.sqnr_db if math.isfinite(parity.sqnr_db) else None
    return Verdict(agrees, rule, parity.cosine, parity.agreement, sqnr)

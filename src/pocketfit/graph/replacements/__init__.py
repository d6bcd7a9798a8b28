"""Ops that can be replaced when the user asks for it: one file a kind, in one order."""

from __future__ import annotations

from pocketfit.graph.replacements.adaptive_pooling import ADAPTIVE_POOLING
from pocketfit.graph.replacements.gelu import GELU, QUICK_GELU
from pocketfit.graph.replacements.hard_forms import HARD_SIGMOID, HARD_SWISH
from pocketfit.graph.replacements.replacement import Replacement
from pocketfit.graph.replacements.resize import ALIGN_CORNERS, BICUBIC
from pocketfit.graph.replacements.sigmoid import SIGMOID
from pocketfit.graph.replacements.silu import SILU

__all__ = ["REPLACEMENTS", "Replacement"]

# What one leaves behind, a later one may replace in turn: SiLU by hard-swish, and that by ReLU6.
REPLACEMENTS: tuple[Replacement, ...] = (
    SILU,
    QUICK_GELU,
    GELU,
    SIGMOID,
    HARD_SWISH,
    HARD_SIGMOID,
    ADAPTIVE_POOLING,
    BICUBIC,
    ALIGN_CORNERS,
)

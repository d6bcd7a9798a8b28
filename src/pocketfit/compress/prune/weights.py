"""Single weights set to zero: the model keeps its shape, and its file becomes smaller only when it is compressed.

THRESHOLD: every weight below a magnitude. RATIO: a share of them, the smallest, of each layer or of all layers
together. PATTERN N:M: of every M weights in a row along the input channels the N largest stay.

Source: N:M, Mishra et al. 2021, "Accelerating sparse deep neural networks", section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch

from pocketfit.errors import OptionError
from pocketfit.graph.affine_layer import WEIGHTED
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.calls import calls
from pocketfit.models.canonical import source_of
from pocketfit.models.weights import with_weights
from pocketfit.types import LoadedModel

__all__ = ["Scope", "SparseLayer", "WeightRecipe", "Zeroed", "by_pattern", "by_ratio", "by_threshold", "zero_weights"]


class Scope(StrEnum):
    """Whether the smallest weights are looked for in each layer by itself, or in all layers together."""

    LAYER = "layer"
    GLOBAL = "global"


@dataclass(frozen=True)
class WeightRecipe:
    """Which weights become zero; exactly one of the first three is given.

    Args:
        threshold: weights of a smaller magnitude, at least 0.
        ratio: a share of the weights, 0..1.
        pattern: N and M: N of every M stay.
        scope: of the ratio.

    Raises:
        OptionError: none or several are given, or a number is out of its range.
    """

    threshold: float | None = None
    ratio: float | None = None
    pattern: tuple[int, int] | None = None
    scope: Scope = Scope.LAYER

    def __post_init__(self) -> None:
        given = [one for one in (self.threshold, self.ratio, self.pattern) if one is not None]
        if len(given) != 1:
            raise OptionError("give exactly one of a threshold, a ratio and a pattern of weights to zero.")
        if self.threshold is not None and not self.threshold >= 0:
            raise OptionError(f"a threshold of {self.threshold} is not possible. Give 0 or more.")
        if self.ratio is not None and not 0 <= self.ratio <= 1:
            raise OptionError(f"{self.ratio} is no share of the weights. Give 0 to 1.")
        if self.pattern is not None and not 0 < self.pattern[0] < self.pattern[1]:
            raise OptionError(f"a pattern of {self.pattern[0]}:{self.pattern[1]} leaves nothing out. Give 2:4 or 1:4.")


@dataclass(frozen=True)
class SparseLayer:
    """A layer's weight: dotted path in the user's model, or node name; number of weights; how many of them are zero."""

    name: str
    weights: int
    zeros: int


@dataclass(frozen=True)
class Zeroed:
    """The model with zeros, and every layer of it."""

    model: LoadedModel
    layers: tuple[SparseLayer, ...]


def by_threshold(weight: torch.Tensor, threshold: float) -> torch.Tensor:
    """The weight with zeros wherever its magnitude is smaller than the threshold."""
    return torch.where(weight.abs() < threshold, 0, weight)


def by_ratio(weight: torch.Tensor, ratio: float) -> torch.Tensor:
    """The weight with zeros in the place of that share of its numbers, the smallest; ties leave in order."""
    count = round(ratio * weight.numel())
    flat = weight.flatten().clone()
    flat[flat.abs().argsort(stable=True)[:count]] = 0
    return flat.reshape(weight.shape)


def layer_adaptive(weight: torch.Tensor) -> torch.Tensor:
    """Magnitudes of a layer's weights in a form that can be compared with other layers', in the shape of the weight.

    The square of each over the sum of the squares of all that are not smaller: what removing it does to what would be
    left of the layer. Bare magnitudes depend on the scale of a layer, which folded batch norms make what they like.

    Source: Lee et al., "Layer-adaptive Sparsity for the Magnitude-based Pruning", 2021, equation 3.
    """
    squares = weight.flatten().double().square()
    order = squares.argsort(stable=True)
    left = squares[order].flip(0).cumsum(0).flip(0).clamp_min(torch.finfo(torch.float64).tiny)
    scores = torch.empty_like(squares)
    scores[order] = squares[order] / left
    return scores.reshape(weight.shape)


def by_pattern(weight: torch.Tensor, keep: int, of: int) -> torch.Tensor:
    """The weight with `keep` of every `of` numbers along axis 1; those that are left over at its end stay.

    Args:
        weight: output channels × input channels (× kernel).
        keep: N, at least 1.
        of: M, more than N.
    """
    rows = weight.movedim(1, -1)
    whole = rows.shape[-1] // of * of
    parts = rows[..., :whole].reshape(*rows.shape[:-1], whole // of, of)
    least = parts.abs().argsort(dim=-1, stable=True)[..., : of - keep]
    thinned = parts.scatter(-1, least, 0).flatten(-2)
    return torch.cat([thinned, rows[..., whole:]], -1).movedim(-1, 1).contiguous()


def zero_weights(model: LoadedModel, recipe: WeightRecipe) -> Zeroed:
    """Zero weights of all convolutions and linear layers.

    Args:
        model: in canonical form; it is not changed.
        recipe: which weights.
    """
    weights = _weights(model)
    new = _thinned({path: weight for path, (_, weight) in weights.items()}, recipe)
    layers = tuple(
        SparseLayer(name, new[path].numel(), int((new[path] == 0).sum())) for path, (name, _) in weights.items()
    )
    return Zeroed(with_weights(model, new), layers)


def _weights(model: LoadedModel) -> dict[str, tuple[str, torch.Tensor]]:
    """Name and weight of each layer, by attribute path."""
    found: dict[str, tuple[str, torch.Tensor]] = {}
    for node in calls(model.graph):
        weight = (*node.args, None, None)[1]
        if node.target in WEIGHTED and isinstance(weight, torch.fx.Node) and weight.op == "get_attr":
            path = str(weight.target)
            found.setdefault(path, (source_of(node) or node.name, get_tensor(model.graph, path)))
    return found


def _thinned(weights: dict[str, torch.Tensor], recipe: WeightRecipe) -> dict[str, torch.Tensor]:
    if recipe.pattern is not None:
        return {path: by_pattern(weight, *recipe.pattern) for path, weight in weights.items()}
    if recipe.threshold is not None:
        return {path: by_threshold(weight, recipe.threshold) for path, weight in weights.items()}
    assert recipe.ratio is not None
    if recipe.scope is Scope.LAYER:
        return {path: by_ratio(weight, recipe.ratio) for path, weight in weights.items()}
    scores = torch.cat([layer_adaptive(weight).flatten() for weight in weights.values()])
    kept = by_ratio(scores, recipe.ratio) != 0
    parts = torch.split(kept, [weight.numel() for weight in weights.values()])
    return {
        path: torch.where(part.reshape(weight.shape), weight, 0)
        for (path, weight), part in zip(weights.items(), parts, strict=True)
    }

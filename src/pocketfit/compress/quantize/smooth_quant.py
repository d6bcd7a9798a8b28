"""SmoothQuant: the outliers of activations, moved into the weights that read them.

Transformers have channels whose activations are a hundred times larger than the others', and one scale per tensor has
to cover them. Where a layer normalisation, a product with a constant or a linear layer writes what linear layers read,
each channel j can be divided there and its weights be multiplied here:

    s_j = max|X_j|^α / max|W_j|^(1-α),   X ← X / s,   W ← W · s.

max|X_j| is measured on calibration samples, max|W_j| taken over all layers that read the channel. α = 0 leaves the
whole difficulty to the activations, α = 1 moves it all into the weights.

Source: Xiao et al. 2022, "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models"
(arXiv 2211.10438), equations 3 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.divergence import answers_sqnr_db
from pocketfit.compress.quantize.placement import is_layer, place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.recipe import Recipe
from pocketfit.compress.quantize.same_function import prove_same
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.errors import OptionError
from pocketfit.graph.attributes import constant, get_tensor, uses
from pocketfit.graph.running import arguments, run_graph
from pocketfit.models.weights import with_weights
from pocketfit.types import LoadedModel, Scheme

__all__ = ["Smoothed", "SmoothedTensor", "smooth"]

aten = torch.ops.aten

ALPHAS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
# As in equalization: beyond this a channel is dead in all but name.
LARGEST_SCALE = 1e3
W8A8 = Recipe()


@dataclass(frozen=True)
class SmoothedTensor:
    """A tensor whose channels were divided.

    Args:
        source: name of the node that writes it.
        readers: names of the linear layers that read it.
        scales: one positive divisor per channel; 1 where activation or weights are zero.
    """

    source: str
    readers: tuple[str, ...]
    scales: tuple[float, ...]


@dataclass(frozen=True)
class Smoothed:
    """What SmoothQuant made of a model.

    Args:
        model: with other weights; the very model where nothing was smoothed.
        tensors: what was smoothed, in graph order.
        alpha: the exponent that was used; None where nothing was smoothed.
        notes: what was done, in plain sentences.
    """

    model: LoadedModel
    tensors: tuple[SmoothedTensor, ...]
    alpha: float | None
    notes: tuple[str, ...]


def smooth(
    model: LoadedModel, samples: Sequence[np.ndarray], alpha: float | None = 0.5, recipe: Recipe = W8A8
) -> Smoothed:
    """Smooth every tensor that only linear layers read and whose channels can be divided where it is written.

    Args:
        model: the canonical model; left as it is.
        samples: batches of calibration samples, float32 in the model's layout.
        alpha: share of the difficulty that moves into the weights, 0 to 1; None tries `ALPHAS` and takes the one with
            which the plan of `recipe` answers best, or none of them where that is better.
        recipe: how the plans are drawn up on which `alpha` is judged.

    Raises:
        OptionError: alpha is not between 0 and 1.
        ModelError: the outcome computes something else, which no model should be able to bring about.
    """
    if alpha is not None and not 0 <= alpha <= 1:
        raise OptionError(f"alpha is {alpha}. Allowed: 0 (activations keep their outliers) to 1 (weights take them).")
    sites = _sites(model.graph)
    if not sites:
        return Smoothed(model, (), None, ("SmoothQuant found no tensor that only linear layers read.",))
    peaks = _peaks(model.graph, samples, [site.source.name for site in sites])
    if alpha is not None:
        return _smoothed(model, sites, peaks, alpha)
    return _best(model, samples, [_smoothed(model, sites, peaks, one) for one in ALPHAS], recipe)


@dataclass(frozen=True)
class _Site:
    """A tensor that can be smoothed: who writes it, which constants divide it there, and the layers that read it."""

    source: Node
    divided: tuple[str, ...]
    readers: tuple[Node, ...]


def _sites(graph: GraphModule) -> list[_Site]:
    count = uses(graph)
    sites = (_site(graph, node) for node in graph.graph.nodes)
    return [
        site
        for site in sites
        if site is not None and all(count[path] == 1 for path in (*site.divided, *map(_weight, site.readers)))
    ]


def _site(graph: GraphModule, node: Node) -> _Site | None:
    readers = tuple(node.users)
    if not readers or not all(_reads(reader, node) for reader in readers):
        return None
    channels = get_tensor(graph, _weight(readers[0])).shape[1]
    constants = [argument for argument in _writers(node) if argument is not None]
    per_channel = all(_is_per_channel(constant(graph, argument), channels) for argument in constants)
    if not constants or not per_channel:
        return None
    return _Site(node, tuple(str(argument.target) for argument in constants), readers)  # type: ignore[attr-defined]


def _reads(reader: Node, node: Node) -> bool:
    return reader.target is aten.linear.default and is_layer(reader) and reader.args[0] is node


def _writers(node: Node) -> tuple[object, ...]:
    """The constants that are divided so that the node's result is; none where that is not possible."""
    if node.target is aten.layer_norm.default and len(node.args) > 2 and node.args[2] is not None:
        return node.args[2:4]
    if node.target is aten.linear.default and is_layer(node):
        return node.args[1:3]
    if node.target is aten.mul.Tensor:
        return tuple(argument for argument in node.args if isinstance(argument, Node) and argument.op == "get_attr")[:1]
    return ()


def _is_per_channel(values: torch.Tensor | None, channels: int) -> bool:
    """Whether a constant says something of each channel: a vector of them, or a weight that writes them."""
    return values is not None and (values.dim() == 2 or values.numel() == values.shape[-1]) and channels in values.shape


def _weight(layer: Node) -> str:
    weight = layer.args[1]
    assert isinstance(weight, Node)  # is_layer said so
    return str(weight.target)


class _Peaks(torch.fx.Interpreter):
    """Runs the graph and keeps the largest magnitude per channel of the named tensors."""

    def __init__(self, graph: GraphModule, names: Sequence[str]) -> None:
        super().__init__(graph)
        self.peaks: dict[str, torch.Tensor] = dict.fromkeys(names, torch.zeros(()))

    def run_node(self, n: Node) -> object:
        value = super().run_node(n)
        if n.name in self.peaks and isinstance(value, torch.Tensor):
            seen = value.detach().abs().flatten(0, -2).amax(0)
            self.peaks[n.name] = torch.maximum(self.peaks[n.name], seen)
        return value


def _peaks(graph: GraphModule, samples: Sequence[np.ndarray], names: Sequence[str]) -> dict[str, torch.Tensor]:
    runner = _Peaks(graph, names)
    with torch.no_grad():
        for batch in samples:
            runner.run(*arguments(graph, torch.from_numpy(batch)))
    return runner.peaks


def _smoothed(model: LoadedModel, sites: list[_Site], peaks: dict[str, torch.Tensor], alpha: float) -> Smoothed:
    weights: dict[str, torch.Tensor] = {}
    tensors = []
    for site in sites:
        scales = _scales(model.graph, site, peaks[site.source.name].double(), alpha)
        _move(model.graph, site, scales, weights)
        readers = tuple(reader.name for reader in site.readers)
        tensors.append(SmoothedTensor(site.source.name, readers, tuple(scales.tolist())))
    smoothed = with_weights(model, {path: weight.float() for path, weight in weights.items()})
    prove_same(model, smoothed, "SmoothQuant")
    note = f"SmoothQuant with alpha {alpha:g} moved outliers of {len(tensors)} tensors into the weights that read them."
    return Smoothed(smoothed, tuple(tensors), alpha, (note,))


def _scales(graph: GraphModule, site: _Site, peaks: torch.Tensor, alpha: float) -> torch.Tensor:
    largest = torch.stack([get_tensor(graph, _weight(reader)).double().abs().amax(0) for reader in site.readers])
    weights = largest.amax(0)
    alive = (peaks > 0) & (weights > 0)
    scales = torch.where(alive, peaks**alpha / weights ** (1 - alpha), torch.ones_like(peaks))
    return scales.clamp(1 / LARGEST_SCALE, LARGEST_SCALE)


def _move(graph: GraphModule, site: _Site, scales: torch.Tensor, weights: dict[str, torch.Tensor]) -> None:
    """Divide where the tensor is written, multiply where it is read; a layer may do both."""

    def current(path: str) -> torch.Tensor:
        return weights[path] if path in weights else get_tensor(graph, path).double()

    rows = site.source.target is aten.linear.default
    for path in site.divided:
        value = current(path)
        weights[path] = value / (scales[:, None] if rows and value.dim() == 2 else scales)
    for reader in site.readers:
        weights[_weight(reader)] = current(_weight(reader)) * scales


def _best(model: LoadedModel, samples: Sequence[np.ndarray], candidates: list[Smoothed], recipe: Recipe) -> Smoothed:
    floats = run_graph(model.graph, samples)
    plain = _sqnr(model, samples, floats, recipe)
    quality = [_sqnr(candidate.model, samples, floats, recipe) for candidate in candidates]
    index = int(np.argmax(quality))
    if quality[index] <= plain:
        return Smoothed(model, (), None, (f"SmoothQuant left out: no alpha gives more than {plain:.1f} dB.",))
    best = candidates[index]
    note = f"Output SQNR without smoothing {plain:.1f} dB, with alpha {best.alpha:g} {quality[index]:.1f} dB."
    return Smoothed(best.model, best.tensors, best.alpha, (*best.notes, note))


def _sqnr(model: LoadedModel, samples: Sequence[np.ndarray], floats: np.ndarray, recipe: Recipe) -> float:
    """Of the INT8 answers to the calibration samples, in decibel; in the worse of the two schemes."""
    statistics = calibrate(model.graph, samples, place(model.graph).tensors)
    plan = int8_plan(model, statistics, data_fingerprint="", samples=len(floats), recipe=recipe)
    return min(answers_sqnr_db(simulate(model, plan, scheme, samples), floats, model.outputs) for scheme in Scheme)

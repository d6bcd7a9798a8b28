"""What the tensors of a model hold on the data it was trained with, guessed without any of that data.

Synthetic images walk through the model. They look like nothing it has learnt; but each layer into which a batch
normalisation was folded has its output shifted and scaled, channel by channel, to the mean and standard deviation that
the normalisation remembers of the training data. What additions, poolings, products, activations and layers without
statistics give follows from these, with the correlations that the real weights make.

An approximation: of each distribution the first two moments are the real ones, its shape is that of the noise.

Source of the idea that batch-norm statistics stand for the data: Nagel et al. 2019, "Data-Free Quantization Through
Weight Equalization and Bias Correction" (arXiv 1906.04721), section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Node

from pocketfit.compress.quantize.walk import in_chunks
from pocketfit.contract import Contract, Layout
from pocketfit.data.preprocess import arithmetic
from pocketfit.errors import DataError
from pocketfit.graph.attributes import get_tensor
from pocketfit.graph.norm_statistics import NormStatistics, norm_statistics
from pocketfit.types import LoadedModel

__all__ = ["IMAGES", "Values", "input_range", "walk_synthetic"]

IMAGES = 32
# How many at a time, where the model takes any batch size.
CHUNK = 8

# One value of the graph: a tensor (for chunk and split, a list of them) per chunk of images.
Values = list[Any]


def walk_synthetic(model: LoadedModel, preprocess: Contract | None, visit: Callable[[Node, Values], None]) -> None:
    """Take synthetic images through the model.

    Args:
        model: the canonical model.
        preprocess: how pixels become inputs; None for inputs of mean 0 and standard deviation 1.
        visit: called with each node and its values, in graph order.

    Raises:
        DataError: no batch normalisation was folded into any layer, so nothing is known of the data.
    """
    nodes = list(model.graph.graph.nodes)
    if all(norm_statistics(node) is None for node in nodes):
        raise DataError(
            f"{model.name} has no batch normalisation behind a convolution or linear layer, and no data was given. "
            "INT8 without data is allowed only for models with batch normalisation: give some calibration images; "
            "a hundred without labels are enough."
        )
    size = CHUNK if model.dynamic_batch else 1
    inputs = list(torch.split(torch.from_numpy(_inputs(model.row_shape, preprocess)), size))
    with torch.no_grad():
        _walk(model.graph, nodes, inputs, visit)


def input_range(shape: tuple[int, ...], preprocess: Contract | None) -> tuple[float, float] | None:
    """Smallest and largest input that pixels can give; None where the preprocessing is not known.

    Args:
        shape: of the input, without the batch.
        preprocess: how pixels become inputs.
    """
    if not _takes_pixels(shape, preprocess):
        return None
    assert preprocess is not None
    ends = arithmetic(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(3, 3), preprocess)
    return float(ends.min()), float(ends.max())


def _walk(graph: GraphModule, nodes: list[Node], inputs: Values, visit: Callable[[Node, Values], None]) -> None:
    last_reader = {source: node for node in nodes for source in node.all_input_nodes}
    values: dict[Node, Values] = {}
    given = iter(in_chunks(graph, inputs))
    for node in nodes:
        if node.op == "output":
            continue
        values[node] = next(given) if node.op == "placeholder" else _computed(graph, node, values, len(inputs))
        visit(node, values[node])
        for source in node.all_input_nodes:
            if last_reader[source] is node:
                del values[source]


def _computed(graph: GraphModule, node: Node, values: dict[Node, Values], chunks: int) -> Values:
    if node.op == "get_attr":
        return [get_tensor(graph, str(node.target))] * chunks
    computed = [_call(node, values, chunk) for chunk in range(chunks)]
    known = norm_statistics(node)
    return computed if known is None else _restored(computed, known)


def _call(node: Node, values: dict[Node, Values], chunk: int) -> Any:
    arguments, keywords = torch.fx.map_arg((node.args, node.kwargs), lambda source: values[source][chunk])
    return node.target(*arguments, **keywords)  # type: ignore[operator]


def _restored(values: list[torch.Tensor], known: NormStatistics) -> Values:
    """The values with the known mean and standard deviation per channel; a constant channel is its mean."""
    rows = torch.cat([value.movedim(1, 0).flatten(1) for value in values], 1)
    std, mean = torch.std_mean(rows, 1, correction=0)
    factor = torch.where(std > 0, known.std / std, 0)
    offset = known.mean - mean * factor
    shape = (1, -1, *[1] * (values[0].dim() - 2))
    return [value * factor.reshape(shape) + offset.reshape(shape) for value in values]


def _takes_pixels(shape: tuple[int, ...], preprocess: Contract | None) -> bool:
    if preprocess is None or preprocess.layout is not Layout.NCHW:
        return False
    return len(shape) == 3 and shape[0] == preprocess.channels


def _inputs(shape: tuple[int, ...], preprocess: Contract | None) -> np.ndarray:
    """Float32 inputs: noise with large and small structures where there are positions, plain noise elsewhere."""
    generator = torch.Generator().manual_seed(0)
    if not _takes_pixels(shape, preprocess):
        noise = _noise((IMAGES, *shape), generator)
        return noise.sub_(noise.mean()).div_(noise.std()).numpy()
    assert preprocess is not None
    noise = _noise((IMAGES, 3, *shape[1:]), generator)
    low, high = noise.amin((1, 2, 3), keepdim=True), noise.amax((1, 2, 3), keepdim=True)
    pixels = (noise - low).div_(high - low).mul_(255).byte()
    return arithmetic(pixels.permute(0, 2, 3, 1).numpy(), preprocess)


def _noise(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Normal noise; that of images in every octave with the same strength, as photographs have it."""
    total = torch.randn(shape, generator=generator)
    if len(shape) != 4:
        return total
    side = min(shape[2:]) // 2
    while side >= 1:
        coarse = torch.randn(*shape[:2], side, side, generator=generator)
        total += torch.nn.functional.interpolate(coarse, shape[2:], mode="bilinear")
        side //= 2
    return total

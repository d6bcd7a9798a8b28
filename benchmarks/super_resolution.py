"""IMDN x2 on Set5: PSNR of INT8 beside float, by the simulation that every runtime's file is compared with.

The plan comes from crops of other images; it is calibrated at one size and holds at any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from benchmarks.real_data import imagenet_1300
from benchmarks.real_sr import as_input, imdn_x2, psnr_y, set5_x2
from benchmarks.results import Row
from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.divergence import divergence
from pocketfit.compress.quantize.draft import Bench, draw
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.ranges import Ranges
from pocketfit.compress.quantize.recipe import Recipe
from pocketfit.compress.quantize.rungs import FloatBetween, MixPrecision
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.compress.quantize.statistics import TensorStatistics
from pocketfit.graph.running import run_graph
from pocketfit.models.canonical import canonicalise
from pocketfit.rescuing import SHARES
from pocketfit.types import LoadedModel, QuantizationPlan, Scheme

SIDE = 64
CROPS = 40
# Mixed precision is judged on each so many-th crop.
JUDGED = 8
TARGET_DB = 0.15


def rows() -> Iterator[Row]:
    """One row per method and scheme."""
    images = set5_x2()
    floats = _psnr(images, lambda net, small: _float(net, small))
    model = _model(SIDE, SIDE)
    crops = _crops()
    for scheme in Scheme:
        for method, plan, seconds in _plans(model, crops, scheme):
            psnr = _psnr(images, lambda net, small, plan=plan, scheme=scheme: _int8(net, plan, scheme, small))
            yield {
                "model": "imdn_x2",
                "method": f"{method}, {scheme}",
                "tool": "pocketfit",
                "psnr_db": psnr,
                "float_psnr_db": floats,
                "drop_db": floats - psnr,
                "seconds": seconds,
                "samples": len(images),
                "int8_layers": sum(bool(layer.weight_scales) for layer in plan.layers.values()),
                "layers": len(place(model.graph).layers),
            }
            if floats - psnr <= TARGET_DB:
                break


def _plans(
    model: LoadedModel, crops: list[np.ndarray], scheme: Scheme
) -> Iterator[tuple[str, QuantizationPlan, float]]:
    """Plain min-max, the default plan, then the rungs that do something for such a network, with their seconds."""
    begin = time.perf_counter()
    statistics = calibrate(model.graph, crops, place(model.graph).tensors)
    plan = int8_plan(model, statistics, data_fingerprint="", samples=CROPS, recipe=Recipe(ranges=Ranges.MIN_MAX))
    yield "min-max, nothing corrected", plan, time.perf_counter() - begin
    bench = _bench(model, crops, statistics, scheme)
    draft = draw(bench, model, Recipe())
    loss = bench.loss(draft.variant)
    yield "default plan", draft.variant.plan, time.perf_counter() - begin
    for step in (FloatBetween(), *(MixPrecision(share) for share in SHARES)):
        offered = step.climb(bench, draft)
        if offered is not None and (reached := bench.loss(offered.variant)) < loss:
            draft, loss = offered, reached
            yield step.name, draft.variant.plan, time.perf_counter() - begin


def _bench(
    model: LoadedModel, crops: list[np.ndarray], statistics: Mapping[str, TensorStatistics], scheme: Scheme
) -> Bench:
    judged = [np.concatenate(crops[::JUDGED])]
    floats = run_graph(model.graph, judged)
    return Bench(
        model=model,
        samples=crops,
        schemes=(scheme,),
        statistics=lambda model: statistics,
        loss=lambda variant: divergence(simulate(variant.model, variant.plan, scheme, judged), floats, model.outputs),
    )


def _model(height: int, width: int) -> LoadedModel:
    return canonicalise(imdn_x2(), (3, height, width), name="imdn_x2")


def _psnr(
    images: list[tuple[str, np.ndarray, np.ndarray]], run: Callable[[LoadedModel, np.ndarray], np.ndarray]
) -> float:
    found = []
    for _, small, large in images:
        output = run(_model(*small.shape[:2]), as_input(small))
        found.append(psnr_y(output, large))
    return float(np.mean(found))


def _float(net: LoadedModel, small: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        output: np.ndarray = net.graph(torch.from_numpy(small)).numpy()
    return output


def _int8(net: LoadedModel, plan: QuantizationPlan, scheme: Scheme, small: np.ndarray) -> np.ndarray:
    return simulate(net, replace(plan, model_fingerprint=net.fingerprint), scheme, [small])


def _crops() -> list[np.ndarray]:
    """Centres of photographs that have nothing to do with Set5, halved in size to be sharp."""
    paths = sorted(path for path in imagenet_1300().rglob("*") if path.is_file())[:: 1300 // CROPS][:CROPS]
    crops = []
    for path in paths:
        image = Image.open(path).convert("RGB").reduce(2)
        left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
        crops.append(as_input(np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))))
    return crops

"""Which ops each converter takes: one small network per op, converted to every runtime, run and compared.

Writes what `pocketfit preflight` reads, `src/pocketfit/preflight/op_support.json`. Run it again when a converter is
updated.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pocketfit.preflight
from benchmarks.results import FOLDER, Row
from pocketfit.compress.quantize.plan import float_plan
from pocketfit.errors import PocketfitError
from pocketfit.graph.calls import by_op
from pocketfit.graph.running import run_graph
from pocketfit.models.canonical import canonicalise
from pocketfit.runtimes import all_runtimes, is_installed, runs_here
from pocketfit.types import LoadedModel, Precision, Runtime, Variant

SHAPE = (4, 8, 8)
ROWS = (8, 16)

# The same float32 sums in another order; half is never involved.
TOLERANCE = 1e-3

Op = Callable[[Tensor], Tensor]

# What is done to features of shape N, 4, 8, 8.
IMAGES: Mapping[str, Op | nn.Module] = {
    "abs": torch.abs,
    "adaptive_avg_pool2d to 1": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_avg_pool2d to 4": lambda x: F.adaptive_avg_pool2d(x, 4),
    "adaptive_avg_pool2d to 3": lambda x: F.adaptive_avg_pool2d(x, 3),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 1),
    "amax": lambda x: x.amax((2, 3)),
    "amin": lambda x: x.amin((2, 3)),
    "argmax": lambda x: x.argmax(1).float(),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "avg_pool2d padded": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "cat": lambda x: torch.cat([x, x.relu()], 1),
    "ceil": torch.ceil,
    "chunk": lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "clone": lambda x: x.clone() + 1,
    "conv2d": nn.Conv2d(4, 6, 3, 2, 1),
    "conv2d depthwise": nn.Conv2d(4, 4, 3, padding=1, groups=4),
    "conv2d depthwise, multiplier 2": nn.Conv2d(4, 8, 3, padding=1, groups=4),
    "conv2d grouped": nn.Conv2d(4, 8, 3, padding=1, groups=2),
    "conv2d dilated": nn.Conv2d(4, 4, 3, padding=2, dilation=2),
    "conv_transpose2d": nn.ConvTranspose2d(4, 6, 4, 2, 1),
    "conv_transpose2d, output padding": nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1),
    "conv_transpose2d grouped": nn.ConvTranspose2d(4, 4, 2, 2, groups=2),
    "conv3d": nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv3d(1, 2, 3, padding=1), nn.Flatten(1, 2)),
    "cos": torch.cos,
    "cumsum": lambda x: x.cumsum(2),
    "div": lambda x: x / (x.abs() + 1),
    "einsum": lambda x: torch.einsum("nchw,nchv->nhwv", x, x),
    "elu": F.elu,
    "eq": lambda x: (x == x.relu()).float(),
    "erf": torch.erf,
    "exp": torch.exp,
    "expand": lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 3, 3) + 1,
    "flatten": lambda x: x.flatten(1),
    "flip": lambda x: x.flip(3),
    "floor": torch.floor,
    "gather": lambda x: x.gather(1, x.argmax(1, keepdim=True)),
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "glu": lambda x: F.glu(x, 1),
    "grid_sample": lambda x: F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1).tanh(), align_corners=False),
    "group_norm": nn.GroupNorm(2, 4),
    "gt": lambda x: (x > 0).float(),
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardtanh": lambda x: F.hardtanh(x, -2, 2),
    "index_select": lambda x: x[:, [2, 0, 1]],
    "instance_norm": nn.InstanceNorm2d(4, affine=True),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "log": lambda x: (x.abs() + 1).log(),
    "log_softmax": lambda x: x.log_softmax(1),
    "max of two": lambda x: torch.maximum(x, x.mean((2, 3), keepdim=True)),
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "max_pool2d, ceil": lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
    "max_pool2d, padded": lambda x: F.max_pool2d(x, 3, 2, 1),
    "mean": lambda x: x.mean((2, 3)),
    "mean over channels": lambda x: x.mean(1, keepdim=True),
    "min of two": lambda x: torch.minimum(x, x.mean((2, 3), keepdim=True)),
    "mish": F.mish,
    "neg": torch.neg,
    "norm": lambda x: x / x.norm(dim=1, keepdim=True).clamp_min(1e-3),
    "pad constant": lambda x: F.pad(x, (1, 2, 0, 1)),
    "pad reflect": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "pad replicate": lambda x: F.pad(x, (1, 1, 1, 1), mode="replicate"),
    "permute": lambda x: x.permute(0, 2, 3, 1) + 1,
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "pow": lambda x: x.pow(2),
    "prelu": nn.PReLU(4),
    "reciprocal": lambda x: (x.abs() + 1).reciprocal(),
    "relu": torch.relu,
    "relu6": F.relu6,
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "reshape": lambda x: x.reshape(x.shape[0], 2, 2, 8, 8).transpose(1, 2).reshape(x.shape[0], 4, 8, 8),
    "roll": lambda x: x.roll(1, 3),
    "round": torch.round,
    "rsqrt": lambda x: (x.abs() + 1).rsqrt(),
    "rsub": lambda x: 1 - x,
    "select": lambda x: x[:, 1],
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "silu": F.silu,
    "sin": torch.sin,
    "slice": lambda x: x[:, :, 1:6, ::2],
    "softmax": lambda x: x.softmax(1),
    "softmax of the last axis": lambda x: x.softmax(-1),
    "softplus": F.softplus,
    "split": lambda x: torch.cat(x.split([1, 3], 1)[::-1], 1),
    "sqrt": lambda x: x.abs().sqrt(),
    "square root of mean square": lambda x: x * (x.pow(2).mean(1, keepdim=True) + 1e-3).rsqrt(),
    "squeeze": lambda x: x.mean((2,), keepdim=True).squeeze(2),
    "stack": lambda x: torch.stack([x, x.relu()], 1).flatten(1, 2),
    "std": lambda x: x.std((2, 3)),
    "sum": lambda x: x.sum((2, 3)),
    "tanh": torch.tanh,
    "topk": lambda x: x.flatten(1).topk(3)[0],
    "unsqueeze": lambda x: x.mean((2, 3)).unsqueeze(1),
    "upsample bilinear": lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False),
    "upsample bilinear, corners": lambda x: F.interpolate(x, size=(15, 15), mode="bilinear", align_corners=True),
    "upsample bicubic": lambda x: F.interpolate(x, scale_factor=2.0, mode="bicubic", align_corners=False),
    "upsample nearest": lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"),
    "var": lambda x: x.var((2, 3), unbiased=False),
    "where": lambda x: torch.where(x > 0, x, x * 2),
    "fft": lambda x: torch.fft.rfft(x).abs(),
}

# What is done to rows of shape N, 8, 16.
SEQUENCES: Mapping[str, Op | nn.Module] = {
    "attention": nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
    "bmm": lambda x: torch.bmm(x, x.transpose(1, 2)),
    "conv1d": nn.Conv1d(8, 4, 3, padding=1),
    "conv_transpose1d": nn.ConvTranspose1d(8, 4, 4, 2, 1),
    "avg_pool1d": lambda x: F.avg_pool1d(x, 2),
    "max_pool1d": lambda x: F.max_pool1d(x, 2),
    "gru": nn.Sequential(nn.GRU(16, 8, batch_first=True)),
    "lstm": nn.Sequential(nn.LSTM(16, 8, batch_first=True)),
    "layer_norm": nn.LayerNorm(16),
    "linear": nn.Linear(16, 8),
    "matmul": lambda x: x.unsqueeze(1) @ x.transpose(1, 2).unsqueeze(1),
    "rms_norm": nn.RMSNorm(16),
    "rnn": nn.Sequential(nn.RNN(16, 8, batch_first=True)),
    "scaled_dot_product_attention": lambda x: F.scaled_dot_product_attention(x, x, x),
    "transpose": lambda x: x.transpose(1, 2) + 1,
}


class _After(nn.Module):
    """An op between two layers of a network, as in any real one."""

    def __init__(self, layer: nn.Module, op: Op | nn.Module) -> None:
        super().__init__()
        self.layer, self.op = layer, op

    def forward(self, x: Tensor) -> Tensor:
        result = self.op(self.layer(x))
        return result[0] if isinstance(result, tuple) else result


def run() -> Iterator[Row]:
    """One row per op and runtime; the table for preflight is written at the end."""
    runtimes = [runtime for runtime in all_runtimes() if is_installed(runtime)]
    known = _known()
    rows = []
    for case, model in _models():
        for runtime in runtimes:
            name, ops = runtime.info.name, _ops(model)
            problem = known.get((case, name, *ops))
            problem = _problem(model, runtime) if problem is None else problem
            rows.append({"case": case, "ops": ops, "runtime": name, "problem": problem})
            yield rows[-1]
    packages = sorted({package for runtime in runtimes for package in runtime.info.packages} | {"torch"})
    content = {"versions": {package: metadata.version(package) for package in packages}, "ops": _table(rows)}
    path = Path(pocketfit.preflight.__file__).parent / "op_support.json"
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def _known() -> dict[tuple[str, ...], str]:
    """Problems of the last run by case, runtime and ops, where it was cut short; empty after a whole run."""
    path = FOLDER / "op_support.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    whole = len(rows) >= (len(IMAGES) + len(SEQUENCES)) * len(all_runtimes())
    return {} if whole else {(row["case"], row["runtime"], *row["ops"]): row["problem"] for row in rows}


def _table(rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    """By op and runtime: empty where it is taken, else why not, begun with "partly" where another case with it is.

    A case that fails is the fault of the ops that no other case agrees with; of its own op where all others do.
    """
    taken = {(op, row["runtime"]) for row in rows if not row["problem"] for op in row["ops"]}
    table: dict[str, dict[str, str]] = {}
    for row in rows:
        runtime, problem = row["runtime"], row["problem"].removeprefix(f"{row['runtime']}: ")
        for op in row["ops"]:
            table.setdefault(op, {}).setdefault(runtime, "")
        if not problem:
            continue
        guilty = [op for op in row["ops"] if (op, runtime) not in taken]
        partly = [op for op in row["ops"] if not guilty and op.startswith(f"aten.{row['case'].partition(' ')[0]}")]
        for op in guilty:
            table[op][runtime] = table[op][runtime] or problem
        for op in partly:
            table[op][runtime] = table[op][runtime] or f"partly: {row['case']}: {problem}"
    return table


def _models() -> Iterator[tuple[str, LoadedModel]]:
    torch.manual_seed(0)
    kinds = ((IMAGES, SHAPE, lambda: nn.Conv2d(4, 4, 1)), (SEQUENCES, ROWS, lambda: nn.Linear(16, 16)))
    for cases, shape, layer in kinds:
        for case, op in cases.items():
            try:
                yield case, canonicalise(_After(layer(), op), shape, name="op")
            except PocketfitError as error:
                print(f"{case}: {error}")


def _ops(model: LoadedModel) -> list[str]:
    return sorted(by_op(model.graph))


def _problem(model: LoadedModel, runtime: Runtime) -> str:
    """What goes wrong; empty where the answers agree."""
    samples = np.random.default_rng(0).normal(size=(2, *model.input.shape[1:])).astype(np.float32)
    expected = run_graph(model.graph, [samples[:1], samples[1:]])
    with tempfile.TemporaryDirectory() as folder:
        try:
            artifact = runtime.convert(Variant(model, float_plan(model, Precision.FLOAT32)), Path(folder))
            if not runs_here(runtime):
                return ""
            session = runtime.open(artifact)
            got = np.concatenate([session.run([samples[index : index + 1]])[0] for index in range(2)])
        except PocketfitError as error:
            return getattr(error, "message", str(error)).splitlines()[0][:300]
    if got.shape != expected.shape:
        return f"gives shape {got.shape}, not {expected.shape}"
    error = float(np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-6))
    return "" if error <= TOLERANCE else f"answers are off by {error:.2g} of the largest"

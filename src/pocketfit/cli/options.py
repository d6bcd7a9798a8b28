"""Options that several verbs share, and how their values are read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.errors import OptionError, OutputError
from pocketfit.types import InputShape as Shape

if TYPE_CHECKING:
    from pocketfit.compress.training.loop import Learn
    from pocketfit.compress.training.transfer import FeatureLoss
    from pocketfit.types import RuntimeInfo

__all__ = [
    "Antialias",
    "AsJson",
    "Batch",
    "Cache",
    "CalibrationSamples",
    "Color",
    "ComputeUnits",
    "Crop",
    "Data",
    "Delegates",
    "DryRun",
    "Embed",
    "EvaluationSamples",
    "Features",
    "Fill",
    "InputShape",
    "IosTarget",
    "Kernel",
    "Layout",
    "LetterboxSize",
    "Mean",
    "MetricName",
    "Model",
    "Postprocess",
    "Preprocess",
    "Report",
    "Resize",
    "Scale",
    "Std",
    "Targets",
    "TrainingRay",
    "TrainingWorkers",
    "Weights",
    "assign_options",
    "check_count",
    "check_file",
    "check_one_of",
    "feature_loss",
    "parse_names",
    "parse_shape",
    "parse_shapes",
    "place_of_training",
]

Model = Annotated[
    str,
    typer.Argument(
        help="package.module:factory, file.py:factory, timm:NAME, or a file: torch.export (.pt2), "
        "TorchScript (.ts, .pt), ONNX (.onnx, .onnx#output), Keras (.keras), TensorFlow (a SavedModel, .tflite)."
    ),
]
Weights = Annotated[
    Path | None, typer.Option(help="State dict (.pth, .safetensors) to load into what a factory returns.")
]
InputShape = Annotated[
    str | None,
    typer.Option(
        "--input", metavar="CxHxW", help="Input shape without the batch, such as 3x224x224; several joined by +."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Data = Annotated[
    str, typer.Option("--data", help="Image folder (class = sub-folder), .npz with x and y, module:factory, or digits.")
]
Features = Annotated[
    str | None,
    typer.Option(help="Compare layers with the teacher's: attention (where they are active), hint (what they give)."),
]
TrainingRay = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="Train on a Ray cluster: auto, HOST:6379, or local."),
]
TrainingWorkers = Annotated[
    int | None,
    typer.Option("--workers", help="With --ray: processes that share every batch; one a node without it."),
]
Targets = Annotated[
    str | None, typer.Option(help="Runtimes, joined by commas, such as onnxruntime,litert,ncnn. Without it, all.")
]
IosTarget = Annotated[str | None, typer.Option(help="Core ML: the oldest iOS that is to load it: 16, 17, 18, 26.")]
ComputeUnits = Annotated[
    str | None, typer.Option(help="Core ML: all, cpuOnly, cpuAndGPU, or cpuAndNE (the Neural Engine).")
]
Batch = Annotated[
    str | None, typer.Option(help="Samples that a file takes at once: 1, or dynamic, in the targets that have it.")
]
Delegates = Annotated[
    list[str] | None,
    typer.Option(
        "--delegate", help="Accelerator: ncnn=vulkan, or vulkan for each target that has it. May be repeated."
    ),
]
Resize = Annotated[
    str | None,
    typer.Option(help="Shorter side in pixels (256), aspect kept; or height x width (256x320), squashed into it."),
]
LetterboxSize = Annotated[
    str | None,
    typer.Option("--letterbox", help="Instead of --resize: fit the whole image into 640, or height x width."),
]
Fill = Annotated[
    str | None,
    typer.Option("--letterbox-fill", help="Of its margin: 0..255, or red,green,blue. Without it, 114."),
]
Kernel = Annotated[
    str | None,
    typer.Option(
        "--kernel",
        "--interpolation",
        help="Of the resize: nearest, bilinear (the default), bicubic, box, area.",
    ),
]
Antialias = Annotated[
    bool | None,
    typer.Option("--antialias/--no-antialias", help="Whether bilinear and bicubic average what they skip, as Pillow."),
]
Crop = Annotated[str | None, typer.Option(help="Centre crop after it: 224, or height x width.")]
Color = Annotated[str | None, typer.Option(help="Channel order the model was trained with: rgb, bgr, gray.")]
Scale = Annotated[str | None, typer.Option(help="Multiplies the 0..255 pixel: 1/255, 1.")]
Mean = Annotated[str | None, typer.Option(help="Subtracted after scaling, per channel: 0.485,0.456,0.406.")]
Std = Annotated[str | None, typer.Option(help="Divides last, per channel: 0.229,0.224,0.225.")]
Layout = Annotated[str | None, typer.Option(help="Axes of the model's input: nchw, nhwc.")]
Preprocess = Annotated[
    Path | None,
    typer.Option(help="JSON file with a whole contract (docs/preprocessing.md); options given beside it win."),
]
Postprocess = Annotated[
    str | None,
    typer.Option(help="What the outputs mean: classes (the default with labels), boxes, embedding; or a JSON file."),
]
Embed = Annotated[
    bool,
    typer.Option(
        "--embed-preprocessing",
        help="Put colour, scale, mean, std and layout into the model: the app feeds RGB pixels, uint8 where it can.",
    ),
]
# Spelled out, so that help loads no numpy; a test compares it with the table.
MetricName = Annotated[
    str,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="What the task is judged by: top-1, top-5, recall@1, tar@far=1e-3, map, map@0.5, miou, psnr, mae, rmse, "
        "token-accuracy, or a function of your own, module:function (docs/metrics.md).",
    ),
]
CalibrationSamples = Annotated[int, typer.Option(help="Unlabelled samples that the plan comes from.")]
EvaluationSamples = Annotated[int | None, typer.Option(help="Held-out samples at most. Without it, all that are left.")]
Report = Annotated[
    Path | None, typer.Option(help="Write the HTML report here as well, even when nothing fits the budget.")
]
Cache = Annotated[Path | None, typer.Option(help="Folder of stored stages. Without it, POCKETFIT_CACHE.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]

_SHAPE = re.compile(r"[1-9]\d*(?:[x,][1-9]\d*)*")


def check_file(option: str, path: Path | None, suffix: str = "") -> None:
    """Refuse a place for a file before the long work after which it is written.

    Args:
        option: what the user wrote it behind.
        path: of the file; None for no file.
        suffix: that its name has to have; empty for any.

    Raises:
        OutputError: it cannot be written there.
    """
    if path is None:
        return
    if suffix and path.suffix != suffix:
        raise OutputError(f"{option} {path}: the file's name has to end in {suffix}.")
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise OutputError(f"{option} {path} cannot be written. Give a file in a folder that exists and can be written.")


def parse_shape(text: str) -> Shape:
    """Read a shape such as "3x224x224" (a comma does as well), without the batch dimension; several joined by "+".

    Raises:
        OptionError: for anything but positive whole numbers joined by `x`.
    """
    first, *more = parse_shapes(text)
    return (first, *more) if more else first


def parse_shapes(text: str) -> list[tuple[int, ...]]:
    """The same, as a list of one or several; errors are those of `parse_shape`."""
    parts = re.sub(r"\s", "", text).lower().split("+")
    if not all(map(_SHAPE.fullmatch, parts)):
        raise OptionError(
            f"--input {text!r} is not a shape. Allowed are positive whole numbers joined by x, without the batch: "
            "channels x height x width for images. Write for example --input 3x224x224, or for a model with two inputs "
            "--input 3x224x224+10."
        )
    return [tuple(int(side) for side in re.split("[x,]", part)) for part in parts]


def parse_names(option: str, text: str, hint: str) -> tuple[str, ...]:
    """Read names joined by commas.

    Args:
        option: what the user wrote them behind.
        text: the names.
        hint: where to find names, as a sentence.

    Raises:
        OptionError: where there is none.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise OptionError(f"{option} names nothing. Give one or more names, joined by commas. {hint}")
    return names


def assign_options(
    targets: Iterable[str] | None, asked: Mapping[str, str | None], delegates: Sequence[str] | None = None
) -> dict[str, dict[str, str]]:
    """Give each runtime the options that it takes.

    Args:
        targets: names of runtimes; None for all.
        asked: value by name of the option, without hyphens in front; None where the user gave none.
        delegates: each "runtime=delegate", or a delegate alone, which goes to every target that has it.

    Returns:
        Value by name of the option, by name of the runtime.

    Raises:
        OptionError: no target takes an option that was given, or none of its values is the one given.
    """
    from pocketfit.runtimes import all_runtimes, get_runtime
    from pocketfit.runtimes.options import complete_options

    infos = [runtime.info for runtime in (all_runtimes() if targets is None else map(get_runtime, targets))]
    assigned: dict[str, dict[str, str]] = {}
    for name, value in ((name, value) for name, value in asked.items() if value is not None):
        takers = [info for info in infos if name in (option.name for option in info.options)]
        if not takers:
            raise OptionError(f"--{name} {value} is for none of the targets: {', '.join(info.name for info in infos)}.")
        for info in takers:
            complete_options(info, {name: value})
            assigned.setdefault(info.name, {})[name] = value
    for info, delegate in (pair for text in delegates or () for pair in _delegates(infos, text)):
        complete_options(info, {"delegate": delegate})
        assigned.setdefault(info.name, {})["delegate"] = delegate
    return assigned


def _delegates(infos: Sequence[RuntimeInfo], text: str) -> list[tuple[RuntimeInfo, str]]:
    """The runtimes that one `--delegate` is for; the delegate of one that is named is not looked at."""
    runtime, named, delegate = text.rpartition("=")
    known = {info.name: option.values for info in infos for option in info.options if option.name == "delegate"}
    takers = [info for info in infos if (info.name == runtime if named else delegate in known.get(info.name, ()))]
    if not takers:
        has = "; ".join(f"{name}={'|'.join(values)}" for name, values in known.items()) or "none"
        raise OptionError(f"--delegate {text} is for none of the targets. They have: {has}.")
    return [(info, delegate) for info in takers]


def check_one_of(option: str, text: str, allowed: Iterable[str], kind: str) -> None:
    """Refuse what is none of the allowed words.

    Args:
        option: what the user wrote it behind.
        text: the word.
        allowed: all that there are.
        kind: what it is not, such as "a method".

    Raises:
        OptionError: naming the option and what is allowed.
    """
    words = list(allowed)
    if text not in words:
        raise OptionError(f"{option} {text!r} is not {kind}. Allowed: {', '.join(words)}.")


def check_count(option: str, count: int | None) -> None:
    """Refuse a number below 1.

    Raises:
        OptionError: naming the option.
    """
    if count is not None and count < 1:
        raise OptionError(f"{option} {count} is too few. Give 1 or more.")


def feature_loss(text: str | None) -> FeatureLoss | None:
    """What `--features` names.

    Raises:
        OptionError: it is no such loss.
    """
    from pocketfit.compress.training.transfer import FeatureLoss

    if text is None:
        return None
    check_one_of("--features", text, FeatureLoss, "a loss of features")
    return FeatureLoss(text)


def place_of_training(ray: str | None, workers: int | None) -> Learn:
    """Where a training takes place; a cluster is connected before anything else is done.

    Raises:
        OptionError: there is no such cluster, or workers are asked for without one.
    """
    from pocketfit.compress.training.loop import learn

    check_count("--workers", workers)
    if ray is None:
        if workers is not None:
            raise OptionError(
                f"--workers {workers} are processes of a Ray cluster. Give --ray, too: an address, or local."
            )
        return learn
    from pocketfit.cluster import connected
    from pocketfit.compress.training.cluster import ClusterLearner

    connected(ray)
    return ClusterLearner(ray, workers)

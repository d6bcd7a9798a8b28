"""The real networks that the benchmarks fit, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.real_data import cache_folder, imagenet_1300
from benchmarks.real_models import MOBILENET_V2_INPUT, SQUEEZENET_V1_1_INPUT, Preprocessing
from pocketfit.cli.progress import Progress
from pocketfit.contract import Color, Contract, Crop
from pocketfit.pipeline import FitRequest, fit
from pocketfit.types import FitResult

TARGETS = ("onnxruntime", "litert", "ncnn")


@dataclass(frozen=True)
class Case:
    """A network with trained weights and its preprocessing."""

    name: str
    preprocess: Contract

    def request(self, out: Path, cache: Path) -> FitRequest:
        """Fit it for three runtimes with 100 of the 1,300 images to calibrate; the other 1,200 are held out."""
        crop = self.preprocess.crop
        assert crop is not None
        return FitRequest(
            model=f"benchmarks.real_models:{self.name}",
            data=str(imagenet_1300()),
            out=out,
            input_shape=(3, *crop.size),
            preprocess=self.preprocess,
            targets=TARGETS,
            keep_all=True,
            cache=cache,
        )

    def fit(self) -> tuple[FitResult, Path]:
        """Fit it, taking up what an earlier run stored; returns the table and the folder of the bundle."""
        out = cache_folder() / "bundles" / self.name
        out.parent.mkdir(parents=True, exist_ok=True)
        return watched_fit(self.request(out, cache_folder() / "stages")), out


def watched_fit(request: FitRequest) -> FitResult:
    """Fit with progress on standard error."""
    with Progress(Console(stderr=True)) as progress:
        return fit(request, progress)


def _spec(preprocessing: Preprocessing) -> Contract:
    """(pixel - mean) / std on 0..255 as pixel * scale - mean, with the same rounding for every std in use."""
    std = preprocessing.std[0]
    return Contract(
        crop=Crop((preprocessing.size, preprocessing.size)),
        color=Color(preprocessing.channels.lower()),
        scale=1 / std,
        mean=tuple(mean / std for mean in preprocessing.mean),
        std=(1.0, 1.0, 1.0),
    )


CASES = (
    Case("mobilenet_v2", _spec(MOBILENET_V2_INPUT)),
    Case("squeezenet_v1_1", _spec(SQUEEZENET_V1_1_INPUT)),
)

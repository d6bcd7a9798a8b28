"""NNCF's post-training quantization of ONNX models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nncf  # type: ignore[import-not-found]
import onnx

from benchmarks.peers.child import Feed, serve


@dataclass(frozen=True)
class Nncf:
    """INT8 with the tool's defaults but for what is named here.

    Attributes:
        preset: "performance" for symmetric activations, "mixed" for asymmetric ones.
        fast_bias_correction: False for the slower, more accurate correction.
    """

    preset: str = "performance"
    fast_bias_correction: bool = True

    distribution = "nncf"

    @property
    def method(self) -> str:
        """What it does, in a few words."""
        return f"{self.preset}, {'fast ' if self.fast_bias_correction else ''}bias correction"

    def quantize(self, source: Path, feeds: list[Feed], target: Path) -> None:
        """Quantizes a float32 ONNX file."""
        model = nncf.quantize(
            onnx.load(source),
            nncf.Dataset(feeds),
            preset=nncf.QuantizationPreset(self.preset),
            subset_size=len(feeds),
            fast_bias_correction=self.fast_bias_correction,
        )
        onnx.save(model, target)


if __name__ == "__main__":
    serve(Nncf)

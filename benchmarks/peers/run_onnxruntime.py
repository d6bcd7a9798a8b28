"""ONNX Runtime's `quantize_static`, as its documentation recommends for a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from benchmarks.peers.child import Feed, serve


@dataclass(frozen=True)
class OnnxRuntime:
    """U8 activations, S8 weights.

    Attributes:
        ranges: Of activations: "MinMax", "Percentile" (99.999) or "Entropy". The latter two hold every activation of
            all calibration samples in memory.
        per_channel: Scales of weights by channel, not by tensor.
    """

    ranges: str = "MinMax"
    per_channel: bool = True

    distribution = "onnxruntime"

    @property
    def method(self) -> str:
        """What it does, in a few words."""
        return f"quantize_static {self.ranges}, per {'channel' if self.per_channel else 'tensor'}"

    def quantize(self, source: Path, feeds: list[Feed], target: Path) -> None:
        """Quantizes a float32 ONNX file."""
        quantize_static(
            source,
            target,
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=self.per_channel,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[self.ranges],
        )


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: list[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


if __name__ == "__main__":
    serve(OnnxRuntime)

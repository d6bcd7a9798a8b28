"""AIMET's post-training quantization of ONNX models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aimet_onnx  # type: ignore[import-not-found]
import onnx
from aimet_onnx.cross_layer_equalization import equalize_model  # type: ignore[import-not-found]

from benchmarks.peers.child import Feed, serve

_CONFIGS = Path(aimet_onnx.__file__).parent / "common" / "quantsim_config"


@dataclass(frozen=True)
class Aimet:
    """Symmetric weights, asymmetric 8-bit activations, the tool's defaults but for what is named here.

    Attributes:
        ranges: Of weights and activations: "min_max" or "tf_enhanced", which minimises the squared error.
        per_channel: Scales of weights by channel (its default), not by tensor.
        pointwise_bits: Of the weights of 1x1 convolutions, 4 or 8; all others have 8.
        fuse_depthwise: Quantize the output of a depthwise convolution only after the ReLU or Clip that follows it. By
            default the tool quantizes it before, too, unlike that of other convolutions, and loses accuracy there.
        equalize: Cross-layer equalization first, which turns ReLU6 into ReLU.
        rounding: "nearest", "adaround", or "seq_mse", which chooses scales of weights by the error of a layer's output.
        iterations: AdaRound's for each layer; its documentation recommends 10,000, and 15,000 below 8 bits.
    """

    ranges: str = "min_max"
    per_channel: bool = True
    pointwise_bits: int = 8
    fuse_depthwise: bool = False
    equalize: bool = False
    rounding: str = "nearest"
    iterations: int = 10_000

    distribution = "aimet-onnx"

    @property
    def method(self) -> str:
        """What it does, in a few words."""
        parts = [f"W{self.pointwise_bits}A8 {self.ranges}", f"per {'channel' if self.per_channel else 'tensor'}"]
        if self.fuse_depthwise:
            parts.append("depthwise fused")
        if self.equalize:
            parts.append("equalization")
        if self.rounding != "nearest":
            parts.append(self.rounding)
        if self.rounding == "adaround":
            parts.append(f"{self.iterations} iterations")
        return ", ".join(parts)

    def quantize(self, source: Path, feeds: list[Feed], target: Path) -> None:
        """Quantizes a float32 ONNX file."""
        model = onnx.load(source)
        if self.equalize:
            equalize_model(model)
        # Listed before the simulation adds its own nodes to the model.
        convolutions = list(_convolutions(model))
        sim = aimet_onnx.QuantizationSimModel(
            model,
            quant_scheme=self.ranges,
            config_file="default" if self.per_channel else str(_CONFIGS / "default_config.json"),
        )
        for convolution in convolutions:
            if convolution.pointwise:
                sim.qc_quantize_op_dict[convolution.weight].set_bitwidth(self.pointwise_bits)
            if convolution.activated and self.fuse_depthwise:
                sim.qc_quantize_op_dict[convolution.output].enabled = False
        self._round(sim, feeds)
        sim.compute_encodings(feeds)
        onnx.save(sim.to_onnx_qdq(), target)

    def _round(self, sim: aimet_onnx.QuantizationSimModel, feeds: list[Feed]) -> None:
        match self.rounding:
            case "adaround":
                aimet_onnx.apply_adaround(sim, feeds, self.iterations)
            case "seq_mse":
                aimet_onnx.apply_seq_mse(sim, feeds)
            case "nearest":
                pass
            case other:
                raise ValueError(f'rounding is {other!r}; allowed are "nearest", "adaround" and "seq_mse"')


@dataclass(frozen=True)
class _Convolution:
    weight: str
    output: str
    pointwise: bool
    activated: bool


def _convolutions(model: onnx.ModelProto) -> Iterator[_Convolution]:
    shapes = {weight.name: tuple(weight.dims) for weight in model.graph.initializer}
    activated = {node.input[0] for node in model.graph.node if node.op_type in ("Relu", "Clip")}
    for node in model.graph.node:
        if node.op_type == "Conv":
            groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
            pointwise = groups == 1 and set(shapes.get(node.input[1], ())[2:]) == {1}
            yield _Convolution(node.input[1], node.output[0], pointwise, node.output[0] in activated)


if __name__ == "__main__":
    serve(Aimet)

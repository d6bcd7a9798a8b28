"""Which ops the accelerators of each runtime take, from their makers' documentation.

These lists say what is documented, not what was run: a driver may refuse a shape, and a newer release may take more.
Ops are the packets of aten names in a canonical graph, such as `conv2d`; `*` stands for whatever the runtime converts.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DELEGATES", "Delegate"]

ANY = frozenset({"*"})


@dataclass(frozen=True)
class Delegate:
    """One accelerator of one runtime.

    Args:
        runtime: its name.
        name: of the delegate, as the runtime's option spells it.
        ops: that it takes.
        int8: whether it computes in INT8 rather than restoring floats first.
        source: the document.
    """

    runtime: str
    name: str
    ops: frozenset[str]
    int8: bool
    source: str

    def takes(self, op: str) -> bool:
        """Whether it takes the op, an aten packet's name."""
        return self.ops == ANY or op in self.ops


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What only names a tensor otherwise costs an accelerator nothing.
_VIEWS = _words("view reshape flatten unsqueeze squeeze contiguous clone getitem dropout")

_COMMON = _VIEWS | _words(
    "conv2d linear add sub mul avg_pool2d max_pool2d adaptive_avg_pool2d mean cat relu relu6 hardtanh clamp sigmoid "
    "softmax"
)

DELEGATES = (
    Delegate(
        "onnxruntime",
        "nnapi",
        _COMMON
        | _words(
            "abs div elu exp floor leaky_relu log matmul bmm maximum minimum neg pad constant_pad_nd permute "
            "transpose pixel_shuffle pow prelu sin slice split split_with_sizes chunk sqrt tanh "
            "upsample_nearest2d upsample_bilinear2d"
        ),
        True,
        "onnxruntime.ai, NNAPI Execution Provider, Supported ops",
    ),
    Delegate(
        "onnxruntime",
        "xnnpack",
        _VIEWS
        | _words(
            "conv2d conv_transpose2d linear matmul avg_pool2d max_pool2d softmax relu relu6 hardtanh clamp "
            "upsample_bilinear2d"
        ),
        True,
        "onnxruntime.ai, XNNPACK Execution Provider, Supported ops",
    ),
    Delegate(
        "onnxruntime",
        "coreml",
        _COMMON
        | _words(
            "argmax conv_transpose2d pixel_shuffle div elu erf exp gelu grid_sampler group_norm hardsigmoid "
            "hardswish instance_norm layer_norm leaky_relu matmul bmm maximum pow prelu reciprocal amax amin sum "
            "round slice softplus split split_with_sizes chunk sqrt tanh permute transpose upsample_bilinear2d "
            "upsample_nearest2d"
        ),
        False,
        "onnxruntime.ai, CoreML Execution Provider, Supported operators of an ML Program",
    ),
    Delegate(
        "litert",
        "gpu",
        _COMMON | _words("conv_transpose2d exp maximum minimum pad constant_pad_nd prelu slice upsample_bilinear2d"),
        False,
        "ai.google.dev, GPU delegates for LiteRT, GPU ML operations support",
    ),
    Delegate(
        "litert",
        "nnapi",
        _COMMON
        | _words(
            "abs argmax bmm matmul div elu exp floor hardswish log maximum minimum neg pad constant_pad_nd pow "
            "prelu rsqrt sin slice split split_with_sizes sqrt tanh permute transpose conv_transpose2d "
            "upsample_bilinear2d upsample_nearest2d sum"
        ),
        True,
        "developer.android.com, Neural Networks API, OperationCode",
    ),
    Delegate(
        "litert",
        "coreml",
        _COMMON | _words("conv_transpose2d hardswish pad constant_pad_nd upsample_bilinear2d tanh prelu"),
        False,
        "ai.google.dev, LiteRT Core ML delegate, Supported ops",
    ),
    Delegate(
        "ncnn",
        "vulkan",
        _COMMON
        | _words(
            "conv_transpose2d constant_pad_nd pad div exp log sqrt rsqrt abs neg floor ceil sin cos gelu "
            "group_norm hardsigmoid hardswish instance_norm layer_norm leaky_relu maximum minimum mish permute "
            "transpose pixel_shuffle prelu silu tanh slice split split_with_sizes chunk upsample_bilinear2d "
            "upsample_nearest2d pow reciprocal elu"
        ),
        False,
        "github.com/Tencent/ncnn, src/layer/vulkan",
    ),
    Delegate("coreml", "all", ANY, False, "Core ML divides a program among CPU, GPU and Neural Engine on the device"),
)

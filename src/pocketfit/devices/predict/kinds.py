"""The kinds of work that a processor has a speed for.

Kinds of CPUs and GPUs follow the kernels of mobile runtimes, not the names of layers: a 3×3 convolution of stride 1
goes through Winograd's algorithm, a 1×1 convolution is a matrix product, a depthwise one is bound by loads, and a
linear layer of a single row is bound by reading its weights.

An NPU has other kinds: it multiplies matrices of fixed sizes, so that channels are filled up to them, keeps what it
works on in memory of its own, which hardly costs time, and takes its time to be called and to be handed inputs and
outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KINDS", "NPU_KINDS", "Kind", "kinds_of"]


@dataclass(frozen=True)
class Kind:
    """One kind of work.

    Args:
        name: as profiles spell it.
        group: kinds that tend to be fast or slow together: "arithmetic", "depthwise", "traffic", "weights", "calls",
            and for NPUs "boundary" and "start".
        unit: what one unit of it is.
        int8: whether kernels for INT8 differ from those for floats.
        prior_us: microseconds a unit on a middling core, before anything was measured.
    """

    name: str
    group: str
    unit: str
    int8: bool
    prior_us: float


_MACS = "million multiply-accumulates"
_NUMBERS = "million numbers read and written"
_WEIGHTS = "million weights"

# Priors: what a unit costs beside a million multiply-accumulates of a 1x1 convolution at 10 a nanosecond.
KINDS: tuple[Kind, ...] = (
    Kind("first_convolution", "arithmetic", _MACS, True, 200.0),
    Kind("pointwise", "arithmetic", _MACS, True, 100.0),
    Kind("winograd", "arithmetic", "million products after Winograd's transform", True, 200.0),
    Kind("convolution", "arithmetic", _MACS, True, 135.0),
    Kind("dilated", "arithmetic", _MACS, True, 135.0),
    Kind("grouped", "arithmetic", _MACS, True, 330.0),
    Kind("matrix_product", "arithmetic", _MACS, False, 100.0),
    Kind("depthwise_3x3", "depthwise", _MACS, True, 600.0),
    Kind("depthwise", "depthwise", _MACS, True, 600.0),
    Kind("convolution_traffic", "traffic", _NUMBERS, True, 820.0),
    Kind("winograd_traffic", "traffic", _NUMBERS, True, 1800.0),
    Kind("elementwise", "traffic", _NUMBERS, False, 1350.0),
    Kind("movement", "traffic", _NUMBERS, False, 1350.0),
    Kind("activation", "traffic", "million numbers written by sigmoid, SiLU, GELU or a norm", False, 3700.0),
    Kind("softmax", "traffic", "million numbers read by a softmax, a local norm or a detection head", False, 6000.0),
    Kind("convolution_weights", "weights", _WEIGHTS, True, 1350.0),
    Kind("linear_weights", "weights", _WEIGHTS, True, 1350.0),
    Kind("calls", "calls", "op", False, 13.5),
)

_FILLED = "million multiply-accumulates, channels filled up to the next 32"

# Priors: four million million multiply-accumulates a second, memory of 100 gigabytes a second, a tenth of a millisecond
# to start.
NPU_KINDS: tuple[Kind, ...] = (
    Kind("first_convolution", "arithmetic", "million multiply-accumulates, of four channels", False, 1.0),
    Kind("pointwise", "arithmetic", _FILLED, False, 0.25),
    Kind("convolution", "arithmetic", _FILLED, False, 0.25),
    Kind("grouped", "arithmetic", _FILLED, False, 0.25),
    Kind("linear", "arithmetic", _FILLED, False, 0.25),
    Kind("matrix_product", "arithmetic", _MACS, False, 0.5),
    Kind("depthwise", "depthwise", _FILLED, False, 5.0),
    Kind("traffic", "traffic", "million numbers read and written by ops without weights", False, 1.0),
    Kind("weights", "weights", _WEIGHTS, False, 20.0),
    Kind("calls", "calls", "op", False, 2.0),
    Kind("layout_calls", "calls", "op that looks at rows as a whole or changes their order", False, 4.0),
    Kind("crossing", "boundary", "million numbers of inputs and outputs", False, 200.0),
    Kind("inference", "start", "inference", False, 100.0),
)


def kinds_of(processor: str) -> tuple[Kind, ...]:
    """The kinds of work that a processor has speeds for.

    Args:
        processor: "cpu", "gpu" or "npu".
    """
    return NPU_KINDS if processor == "npu" else KINDS

"""The kernels of the probe: what each tries, and what it needs.

Layouts are compared by kernels that differ in little else: four filters, and one or four columns a work-item, in single
precision, with weights from global memory in the order that suits the layout. Naive, local memory and half precision
show what else an optimisation brings.
"""

from __future__ import annotations

from dataclasses import dataclass

from pocketfit.devices.opencl.convolution import Convolution
from pocketfit.devices.opencl.device import Device
from pocketfit.devices.opencl.layouts import Layout, WeightOrder, blocks

__all__ = ["VARIANTS", "Variant", "defines", "local_blocks", "obstacle", "work_items"]


@dataclass(frozen=True)
class Variant:
    """A kernel with its options.

    Args:
        name: in the table.
        source: file in `kernels/`.
        layout: of the activations, read and written.
        weights: their order in memory.
        filters: that a work-item computes.
        columns: adjacent ones that a work-item computes.
        half: whether it stores and adds in half precision.
        local: whether weights go through local memory.
        compared: whether its time speaks for its layout.
    """

    name: str
    source: str
    layout: Layout
    weights: WeightOrder = WeightOrder.BLOCKS_TAPS
    filters: int = 4
    columns: int = 4
    half: bool = False
    local: bool = False
    compared: bool = True

    @property
    def unit_roundoff(self) -> float:
        """Half the distance from 1 to the next number of the precision it adds in."""
        return 2.0**-11 if self.half else 2.0**-24


VARIANTS: tuple[Variant, ...] = (
    Variant("naive", "naive.cl", Layout.NCHW, WeightOrder.PLAIN, filters=1, columns=1, compared=False),
    Variant("nchw 4x4", "nchw.cl", Layout.NCHW, WeightOrder.CHANNELS_TAPS),
    Variant("nhwc 4x1", "nhwc.cl", Layout.NHWC, WeightOrder.TAPS_CHANNELS, columns=1),
    Variant("nhwc 4x4", "nhwc.cl", Layout.NHWC, WeightOrder.TAPS_CHANNELS),
    Variant("nc4hw4 4x1", "nc4hw4.cl", Layout.NC4HW4, columns=1),
    Variant("nc4hw4 4x4", "nc4hw4.cl", Layout.NC4HW4),
    Variant("image2d 4x1", "image2d.cl", Layout.IMAGE, columns=1),
    Variant("image2d 4x4", "image2d.cl", Layout.IMAGE),
    Variant("local weights 4x4", "local_weights.cl", Layout.NC4HW4, local=True, compared=False),
    Variant("half 4x4", "nc4hw4.cl", Layout.NC4HW4, half=True, compared=False),
)


def work_items(variant: Variant, convolution: Convolution) -> tuple[int, int, int]:
    """Work-items along columns, rows and filters, before they are rounded up to whole work-groups."""
    columns = -(-convolution.output_width // variant.columns)
    return columns, convolution.output_height, -(-convolution.filters // variant.filters)


def defines(variant: Variant, convolution: Convolution, device: Device) -> list[str]:
    """Options of the compiler: every size is a constant, so that loops over taps and columns are unrolled."""
    values = {
        "CHANNELS": convolution.channels,
        "CHANNEL_BLOCKS": blocks(convolution.channels),
        "HEIGHT": convolution.height,
        "WIDTH": convolution.width,
        "FILTERS": convolution.filters,
        "FILTER_BLOCKS": blocks(convolution.filters),
        "OUT_HEIGHT": convolution.output_height,
        "OUT_WIDTH": convolution.output_width,
        "KERNEL": convolution.kernel,
        "STRIDE": convolution.stride,
        "PADDING": convolution.padding,
        "TILE": variant.columns,
        "LOCAL_BLOCKS": local_blocks(convolution, device),
    }
    return [f"-D{name}={value}" for name, value in values.items()] + ["-DHALF"] * variant.half


def local_blocks(convolution: Convolution, device: Device) -> int:
    """Blocks of four channels whose weights fit into half the local memory, so that two work-groups share a unit."""
    bytes_of_one = convolution.kernel**2 * 4 * 16
    return min(blocks(convolution.channels), device.local_memory_bytes // 2 // bytes_of_one)


def obstacle(variant: Variant, convolution: Convolution, device: Device) -> str:
    """Why the device cannot run the variant, in words; empty when it can."""
    if variant.half and not device.has_half:
        return "the device has no half precision (cl_khr_fp16)"
    if variant.local and local_blocks(convolution, device) < 1:
        return f"a block of weights does not fit into half of {device.local_memory_bytes} bytes of local memory"
    if variant.layout is Layout.IMAGE:
        return _obstacle_to_images(convolution, device)
    return ""


def _obstacle_to_images(convolution: Convolution, device: Device) -> str:
    if device.image_sides is None:
        return "the device has no images"
    before = (blocks(convolution.channels) * convolution.width, convolution.height)
    after = (blocks(convolution.filters) * convolution.output_width, convolution.output_height)
    for side, allowed in zip((*before, *after), device.image_sides * 2, strict=True):
        if side > allowed:
            return f"an image would have a side of {side} texels; the device takes {allowed}"
    return ""

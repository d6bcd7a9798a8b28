"""One variant on one device: built, with its memory, ready to be run again and again."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Iterator
from importlib import resources
from operator import le
from typing import TYPE_CHECKING, cast

from pocketfit.devices.opencl.convolution import Case
from pocketfit.devices.opencl.device import Device
from pocketfit.devices.opencl.layouts import Layout, pack_activations, pack_weights, packed_shape, unpack_activations
from pocketfit.devices.opencl.variants import Variant, defines, work_items

if TYPE_CHECKING:
    import numpy as np
    import pyopencl as cl

__all__ = ["WORK_GROUPS", "Prepared", "WorkGroup"]

WorkGroup = tuple[int, int, int]

# Columns x rows x blocks of filters. Runtimes try many more on a phone and keep the best; these differ in what matters:
# how many items share a row, and whether several filters share their input.
WORK_GROUPS: tuple[WorkGroup, ...] = ((4, 4, 1), (8, 8, 1), (16, 4, 1), (4, 4, 4))
TUNING_MS = 200.0
MOST_TURNS = 50


class Prepared:
    """A kernel, its memory and its best work-group.

    Args:
        queue: with profiling.
        variant: which kernel.
        case: what it computes.
        device: what the queue belongs to.

    Raises:
        pyopencl.Error: the driver does not take the kernel or has no memory for it.
    """

    def __init__(self, queue: cl.CommandQueue, variant: Variant, case: Case, device: Device) -> None:
        import numpy as np

        self.queue = queue
        self.variant = variant
        self.case = case
        self.device = device
        self.dtype = np.dtype(np.float16 if variant.half else np.float32)
        self.kernel = _build(queue.context, variant, defines(variant, case.convolution, device))
        self.x = self._activations(pack_activations(case.x, variant.layout))
        self.weights = self._buffer(pack_weights(case.weights, variant.weights))
        self.y = self._activations(np.zeros(self._output_shape()))
        self.kernel.set_args(self.x, self.weights, self.y)
        self.work_group = WORK_GROUPS[0]

    def run(self) -> float:
        """Run once and return the device's own time in milliseconds."""
        import pyopencl as cl

        items = work_items(self.variant, self.case.convolution)
        whole = tuple(-(-count // side) * side for count, side in zip(items, self.work_group, strict=True))
        event = cl.enqueue_nd_range_kernel(self.queue, self.kernel, whole, self.work_group)
        event.wait()
        return (event.profile.end - event.profile.start) / 1e6

    def tune(self) -> None:
        """Keep the work-group with the shortest median time.

        All are tried in turns, for `TUNING_MS` but three times at least, so that a disturbance does not fall on one
        alone. Not the shortest time: a lucky one would choose a work-group that loses when the times count.

        Raises:
            pyopencl.Error: none can be run.
        """
        times_ms: dict[WorkGroup, list[float]] = {group: [] for group in self._runnable()}
        for turn in range(MOST_TURNS):
            if turn >= 3 and sum(map(sum, times_ms.values())) > TUNING_MS:
                break
            for self.work_group, taken in times_ms.items():
                taken.append(self.run())
        self.work_group = min(times_ms, key=lambda group: statistics.median(times_ms[group]))

    def _runnable(self) -> list[WorkGroup]:
        """Run every work-group once, and leave out those that the driver refuses; drivers compile for each anew."""
        import pyopencl as cl

        runnable: list[WorkGroup] = []
        refused: cl.Error | None = None
        for group in self._allowed():
            self.work_group = group
            try:
                self.run()
                runnable.append(group)
            except cl.Error as error:  # more registers than there are, say; another size may do
                refused = error
        if not runnable and refused is not None:
            raise refused
        return runnable

    def answer(self) -> np.ndarray:
        """Run once and return what that wrote, as filters × height × width; what it left out is no number."""
        import numpy as np

        packed = np.full(self._output_shape(), np.nan, self.dtype)
        _write(self.queue, self.y, packed)
        self.run()
        _read(self.queue, self.y, packed)
        return unpack_activations(packed, self.variant.layout, self.case.convolution.filters)

    def release(self) -> None:
        """Give the device's memory back."""
        for memory in (self.x, self.weights, self.y):
            memory.release()

    def _allowed(self) -> Iterator[WorkGroup]:
        import pyopencl as cl

        info = cl.kernel_work_group_info.WORK_GROUP_SIZE
        most = cast(int, self.kernel.get_work_group_info(info, self.queue.device))
        across, down, deep = self.device.work_group_sides[:3]
        limits = (across, down, 1 if self.variant.local else deep)
        fitting = [group for group in WORK_GROUPS if math.prod(group) <= most and all(map(le, group, limits))]
        yield from fitting or [(1, 1, 1)]

    def _output_shape(self) -> tuple[int, ...]:
        made = self.case.convolution
        return packed_shape(self.variant.layout, made.filters, made.output_height, made.output_width)

    def _activations(self, packed: np.ndarray) -> cl.Buffer | cl.Image:
        if self.variant.layout is not Layout.IMAGE:
            return self._buffer(packed)
        import pyopencl as cl

        texels = cl.ImageFormat(cl.channel_order.RGBA, cl.channel_type.FLOAT)
        height, width, _ = packed.shape
        image = cl.Image(self.queue.context, cl.mem_flags.READ_WRITE, texels, shape=(width, height))
        _write(self.queue, image, packed.astype(self.dtype))
        return image

    def _buffer(self, packed: np.ndarray) -> cl.Buffer:
        import pyopencl as cl

        stored = packed.astype(self.dtype)
        buffer = cl.Buffer(self.queue.context, cl.mem_flags.READ_WRITE, size=stored.nbytes)
        _write(self.queue, buffer, stored)
        return buffer


def _write(queue: cl.CommandQueue, memory: cl.Buffer | cl.Image, packed: np.ndarray) -> None:
    import pyopencl as cl

    if isinstance(memory, cl.Image):
        cl.enqueue_copy(queue, memory, packed, origin=(0, 0), region=packed.shape[1::-1])
    else:
        cl.enqueue_copy(queue, memory, packed)


def _read(queue: cl.CommandQueue, memory: cl.Buffer | cl.Image, packed: np.ndarray) -> None:
    import pyopencl as cl

    if isinstance(memory, cl.Image):
        cl.enqueue_copy(queue, packed, memory, origin=(0, 0), region=packed.shape[1::-1])
    else:
        cl.enqueue_copy(queue, packed, memory)


def _build(context: cl.Context, variant: Variant, options: list[str]) -> cl.Kernel:
    import pyopencl as cl

    source = resources.files("pocketfit.devices.opencl").joinpath("kernels", variant.source).read_text("utf-8")
    with warnings.catch_warnings():  # drivers warn of what they do not unroll; errors come as exceptions
        warnings.simplefilter("ignore", cl.CompilerWarning)
        return cl.Kernel(cl.Program(context, source).build(options), "convolve")

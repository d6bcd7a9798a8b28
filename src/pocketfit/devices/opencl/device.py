"""Which OpenCL devices there are, and what they are able to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocketfit.errors import OptionError, RuntimeMissing

if TYPE_CHECKING:
    import pyopencl as cl

__all__ = ["Device", "choose_device", "find_devices", "open_queue"]

WITHOUT_PYOPENCL = (
    "the OpenCL probe needs the package pyopencl, which is not installed. Install it with: "
    'pip install "pocketfit[opencl]"'
)
WITHOUT_DRIVER = (
    "no OpenCL device was found: pyopencl is installed, and no driver is. Install the one of your GPU, or PoCL, which "
    "computes on the CPU: pip install pocl-binary-distribution (Linux, x86-64), or apt install pocl-opencl-icd "
    "(Debian, Ubuntu)."
)


@dataclass(frozen=True)
class Device:
    """An OpenCL device of this host.

    Args:
        number: its place in the list of all devices.
        name: as the driver says it.
        vendor: as the driver says it.
        platform: name of the OpenCL platform.
        kind: "CPU", "GPU", "accelerator" or "other".
        version: of OpenCL that the device has.
        driver: version of the driver.
        extensions: names, sorted.
        compute_units: number of.
        clock_mhz: at most.
        global_memory_bytes: in all.
        buffer_bytes: of one buffer, at most.
        local_memory_bytes: of one work-group.
        local_memory_is_own: whether local memory is a memory of its own, not a part of the global one.
        work_group_items: in one work-group, at most.
        work_group_sides: of a work-group along each dimension, at most.
        image_sides: width and height of a two-dimensional image, at most; None without images.
        timer_ns: resolution of the times of its events.
    """

    number: int
    name: str
    vendor: str
    platform: str
    kind: str
    version: str
    driver: str
    extensions: tuple[str, ...]
    compute_units: int
    clock_mhz: int
    global_memory_bytes: int
    buffer_bytes: int
    local_memory_bytes: int
    local_memory_is_own: bool
    work_group_items: int
    work_group_sides: tuple[int, ...]
    image_sides: tuple[int, int] | None
    timer_ns: int

    @property
    def has_half(self) -> bool:
        """Whether it computes in half precision."""
        return "cl_khr_fp16" in self.extensions


def find_devices() -> tuple[Device, ...]:
    """List every OpenCL device of this host, at least one.

    Raises:
        RuntimeMissing: pyopencl or a driver is not installed.
    """
    return tuple(_describe(number, handle) for number, handle in enumerate(_handles()))


def choose_device(wanted: str | None = None) -> Device:
    """Take a device by number or by a part of its name or platform.

    Args:
        wanted: what the user wrote; None takes the first GPU, and the first device where there is none.

    Raises:
        OptionError: no device or several go by that name.
        RuntimeMissing: pyopencl or a driver is not installed.
    """
    devices = find_devices()
    if wanted is None:
        return next((device for device in devices if device.kind == "GPU"), devices[0])
    if wanted.isdecimal():
        fitting = [device for device in devices if device.number == int(wanted)]
    else:
        fitting = [device for device in devices if wanted.lower() in f"{device.name} {device.platform}".lower()]
    if len(fitting) == 1:
        return fitting[0]
    which = "no device" if not fitting else f"{len(fitting)} devices"
    there = "; ".join(f"{device.number}: {device.name} ({device.platform})" for device in devices)
    raise OptionError(f"--device {wanted!r} names {which}. Give a number or a part of one name. There are {there}.")


def open_queue(device: Device) -> cl.CommandQueue:
    """Open a queue whose commands are timed by the device."""
    import pyopencl as cl

    handle = _handles()[device.number]
    return cl.CommandQueue(cl.Context([handle]), properties=cl.command_queue_properties.PROFILING_ENABLE)


def _handles() -> list[cl.Device]:
    try:
        import pyopencl as cl
    except ImportError as error:
        raise RuntimeMissing(WITHOUT_PYOPENCL) from error
    try:
        found = [device for platform in cl.get_platforms() for device in _of_platform(platform)]
    except cl.LogicError as error:  # the loader's way to say that it knows no driver
        raise RuntimeMissing(WITHOUT_DRIVER) from error
    if not found:
        raise RuntimeMissing(WITHOUT_DRIVER)
    return found


def _of_platform(platform: cl.Platform) -> list[cl.Device]:
    import pyopencl as cl

    try:
        return platform.get_devices()
    except cl.Error:  # a driver without its hardware counts as none
        return []


def _describe(number: int, handle: cl.Device) -> Device:
    import pyopencl as cl

    return Device(
        number=number,
        name=handle.name.strip(),
        vendor=handle.vendor.strip(),
        platform=handle.platform.name.strip(),
        kind=_kind(handle),
        version=handle.version.strip(),
        driver=handle.driver_version.strip(),
        extensions=tuple(sorted(handle.extensions.split())),
        compute_units=handle.max_compute_units,
        clock_mhz=handle.max_clock_frequency,
        global_memory_bytes=handle.global_mem_size,
        buffer_bytes=handle.max_mem_alloc_size,
        local_memory_bytes=handle.local_mem_size,
        local_memory_is_own=handle.local_mem_type == cl.device_local_mem_type.LOCAL,
        work_group_items=handle.max_work_group_size,
        work_group_sides=tuple(handle.max_work_item_sizes),
        image_sides=(handle.image2d_max_width, handle.image2d_max_height) if handle.image_support else None,
        timer_ns=handle.profiling_timer_resolution,
    )


def _kind(handle: cl.Device) -> str:
    import pyopencl as cl

    for name, bit in (("CPU", "CPU"), ("GPU", "GPU"), ("accelerator", "ACCELERATOR")):
        if handle.type & getattr(cl.device_type, bit):
            return name
    return "other"

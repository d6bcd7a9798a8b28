"""What the times of a device mean, in words."""

from __future__ import annotations

from collections.abc import Sequence

from pocketfit.devices.opencl.convolution import Convolution
from pocketfit.devices.opencl.device import Device
from pocketfit.devices.opencl.layouts import Layout
from pocketfit.devices.opencl.preference import Preference

__all__ = ["conclude", "meaning"]

Preferences = Sequence[tuple[Convolution, Preference | None]]

# The numbers are those of MNNForwardType.h; they are added to the one that chooses the tuning.
MNN_IMAGE = "MNN: image mode, MNN_GPU_MEMORY_IMAGE (128) in ScheduleConfig.mode."
MNN_BUFFER = "MNN: buffer mode, MNN_GPU_MEMORY_BUFFER (64) in ScheduleConfig.mode; its buffers are NC4HW4."
MNN_EITHER = (
    "MNN: buffer mode (MNN_GPU_MEMORY_BUFFER, 64) and image mode (MNN_GPU_MEMORY_IMAGE, 128) have to be tried with the "
    "model itself; the layouts alone do not decide."
)
LITERT = (
    "LiteRT: the GPU delegate chooses its storage by the GPU's vendor and has no option for it; when it is slower than "
    "MNN here, this may be why."
)
CPU = (
    "These are figures of a CPU device. They prove the kernels right and say nothing about a phone's GPU: a CPU has "
    "neither a texture unit nor local memory of its own."
)


def conclude(device: Device, preferences: Preferences) -> str:
    """Say in a sentence for each convolution which layout the device prefers."""
    where = f"{device.name} ({device.kind} device)"
    return " ".join([f"{where}:", *(_about(convolution, found) for convolution, found in preferences)])


def _about(convolution: Convolution, found: Preference | None) -> str:
    side = f"{convolution.kernel}x{convolution.kernel}"
    if found is None:
        return f"{side}: no layout gave a right answer."
    if found.runner_up is None:
        return f"{side}: only {found.layouts[0]} could be timed."
    if found.clear:
        return f"{side}: prefers {found.layouts[0]}, {found.lead:.2f} times as fast as {found.runner_up}."
    close = " and ".join(found.layouts)
    return f"{side}: no clear preference; {close} are too close for the noise."


def meaning(device: Device, preferences: Preferences) -> tuple[str, ...]:
    """Say what follows for runtimes that compute with OpenCL."""
    if device.kind == "CPU":
        return (CPU,)
    return _mnn([found for _, found in preferences if found is not None]), LITERT


def _mnn(found: Sequence[Preference]) -> str:
    """One mode serves a whole model, so every convolution has to agree."""
    images = [Layout.IMAGE in one.layouts for one in found]
    buffers = [any(layout is not Layout.IMAGE for layout in one.layouts) for one in found]
    if found and all(images) and not any(buffers):
        return MNN_IMAGE
    if found and all(buffers) and not any(images):
        return MNN_BUFFER
    return MNN_EITHER

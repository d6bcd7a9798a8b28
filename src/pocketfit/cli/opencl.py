"""`pocketfit opencl`: which memory layout an OpenCL device prefers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import AsJson, InputShape, check_count, parse_shapes
from pocketfit.cli.output import console, print_json, table
from pocketfit.errors import OptionError

if TYPE_CHECKING:
    from pocketfit.devices.opencl.convolution import Convolution
    from pocketfit.devices.opencl.device import Device
    from pocketfit.devices.opencl.results import ConvolutionResult, ProbeResult, Row

__all__ = ["opencl"]

DEVICE_WORDS = ("", "device", "kind", "version", "platform", "driver")
WORDS = ("kernel", "activations", "work-group")
FIGURES = ("median", "p10 to p90", "GFLOP/s", "speed-up", "max error")


def opencl(
    listing: Annotated[bool, typer.Option("--list", help="List the OpenCL devices and do nothing else.")] = False,
    device: Annotated[
        str | None,
        typer.Option(help="Number or part of a device's name. Without it, the first GPU, or the first."),
    ] = None,
    input_shape: InputShape = "64x56x56",
    filters: Annotated[int, typer.Option(help="Channels of the convolution's output.")] = 64,
    kernels: Annotated[str, typer.Option("--kernel", help="Sides of the kernels to try, joined by commas.")] = "3,1",
    stride: Annotated[int, typer.Option(help="In both directions.")] = 1,
    padding: Annotated[int | None, typer.Option(help="Zeros on every side. Without it, half the kernel.")] = None,
    rounds: Annotated[int, typer.Option(help="Times of each kernel; below 10 nothing can be told from chance.")] = 21,
    as_json: AsJson = False,
) -> None:
    """Probe an OpenCL device: convolutions in several memory layouts, checked, timed and compared.

    Example: pocketfit opencl --device Adreno
    """
    from rich.console import Console

    from pocketfit.cli.progress import Progress
    from pocketfit.devices.opencl.device import choose_device, find_devices
    from pocketfit.devices.opencl.probe import probe

    if listing:
        _list(find_devices(), as_json)
        return
    check_count("--rounds", rounds)
    convolutions = _convolutions(input_shape or "", filters, kernels, stride, padding)
    chosen = choose_device(device)
    with Progress(Console(stderr=True)) as progress:
        result = probe(chosen, convolutions, rounds=rounds, watcher=progress)
    if as_json:
        print_json(asdict(result))
    else:
        _print(result)


def _convolutions(shape: str, filters: int, kernels: str, stride: int, padding: int | None) -> list[Convolution]:
    from pocketfit.devices.opencl.convolution import Convolution

    sides, *more = parse_shapes(shape)
    if len(sides) != 3 or more:
        raise OptionError(f"--input {shape!r} is no image. A convolution takes channels x height x width.")
    return [
        Convolution(*sides, filters, kernel, stride, kernel // 2 if padding is None else padding)
        for kernel in _kernels(kernels)
    ]


def _kernels(text: str) -> list[int]:
    names = [name.strip() for name in text.split(",")]
    if not all(name.isdecimal() for name in names):
        raise OptionError(f"--kernel {text!r} is not a list of sides. Give whole numbers joined by commas: 3,1.")
    return [int(name) for name in dict.fromkeys(names)]


def _list(devices: Sequence[Device], as_json: bool) -> None:
    if as_json:
        print_json([asdict(device) for device in devices])
        return
    rows = [(str(one.number), one.name, one.kind, one.version, one.platform, one.driver) for one in devices]
    console().print(table(rows, DEVICE_WORDS))


def _print(result: ProbeResult) -> None:
    out = console()
    for line in _about(result.device):
        out.print(line, markup=False, highlight=False)
    for one in result.convolutions:
        out.print(f"\n{one.convolution}", markup=False, highlight=False)
        out.print(table([_row(row) for row in one.rows], WORDS, FIGURES))
        for line in _reasons(one):
            out.print(line, markup=False, highlight=False)
    out.print()
    for line in (result.conclusion, *result.meaning):
        out.print(line, markup=False, highlight=False)


def _about(device: Device) -> list[str]:
    from pocketfit.search.units import size

    images = "no images" if device.image_sides is None else f"images to {device.image_sides[0]}x{device.image_sides[1]}"
    local = "of its own" if device.local_memory_is_own else "in global memory"
    return [
        f"{device.kind} device {device.name}, {device.platform}, driver {device.driver}",
        f"{device.compute_units} compute units, {device.clock_mhz} MHz, {size(device.global_memory_bytes)} of memory, "
        f"buffers to {size(device.buffer_bytes)}",
        f"local memory {size(device.local_memory_bytes)} {local}, work-groups to {device.work_group_items} items, "
        f"{images}, half precision: {'yes' if device.has_half else 'no'}",
    ]


def _row(row: Row) -> tuple[str, ...]:
    group = "-" if row.work_group is None else "x".join(map(str, row.work_group))
    error = "-" if row.max_error is None else f"{row.max_error:.1e}"
    if row.median_ms is None:
        return (row.variant, row.layout, group, row.state, "-", "-", "-", error)
    spread = f"{row.p10_ms:.3f} to {row.p90_ms:.3f}"
    speedup = "-" if row.speedup is None else f"{row.speedup:.2f}x"
    return (row.variant, row.layout, group, f"{row.median_ms:.3f} ms", spread, f"{row.gflops:.2f}", speedup, error)


def _reasons(result: ConvolutionResult) -> list[str]:
    return [f"{row.variant}: {row.state}: {row.reason}." for row in result.rows if row.reason]

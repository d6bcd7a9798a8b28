"""LiteRT's GPU: a file compiled for whatever WebGPU finds, which may be a driver that computes on the CPU.

`CompiledModel` tells what it did in what it prints alone: the adapter it chose, or that there is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketfit.runtimes.native_output import caught_output

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Gpu", "NoGpu"]

_ADAPTER = re.compile(r"Selected adapter: (?P<name>[^\n]*?), arch=[^\n]*adapterType=(?P<type>[^\n]*)")
_WHY = re.compile(r"Failed to initialize WebGPU environment: (?:[A-Z]+: )?([^\n]+)")


class NoGpu(Exception):
    """There is no GPU that takes the file; the message says why."""


class Gpu:
    """A `.tflite` file on the GPU, in float32 arithmetic.

    Args:
        path: the file.

    Attributes:
        device: as its driver names it.
        software: whether the driver computes on the CPU.
        whole: whether the GPU took every op.

    Raises:
        NoGpu: LiteRT finds none, or none that can be used.
    """

    def __init__(self, path: Path) -> None:
        with caught_output() as printed:
            self._model, self.whole = _compiled(path)
            if self._model is not None:
                self._inputs = self._model.create_input_buffers(0)
                self._outputs = self._model.create_output_buffers(0)
        adapter = _ADAPTER.search(printed())
        if self._model is None or adapter is None:
            why = _WHY.search(printed())
            raise NoGpu(f"LiteRT finds no GPU here that it can use{f': {why[1].strip()}' if why else ''}")
        self.device = adapter["name"]
        self.software = adapter["type"].startswith("CPU")

    def run(self, inputs: Sequence[np.ndarray], outputs: Sequence[dict[str, Any]]) -> list[np.ndarray]:
        """Run once.

        Args:
            inputs: as the file stores them.
            outputs: details of the file's outputs, as the interpreter gives them.
        """
        import numpy as np

        for buffer, values in zip(self._inputs, inputs, strict=True):
            buffer.write(np.ascontiguousarray(values))
        self._model.run_by_index(0, self._inputs, self._outputs)
        return [
            np.array(buffer.read(int(np.prod(output["shape"])), output["dtype"])).reshape(output["shape"])
            for buffer, output in zip(self._outputs, outputs, strict=True)
        ]


def _compiled(path: Path) -> tuple[Any, bool]:
    """The file on the GPU alone, or with the CPU for what the GPU leaves; None where there is no GPU."""
    from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, GpuOptions, HardwareAccelerator, Options

    for hardware in (HardwareAccelerator.GPU, HardwareAccelerator.GPU | HardwareAccelerator.CPU):
        options = Options(
            hardware_accelerators=hardware,
            cpu_options=CpuOptions(num_threads=1),
            gpu_options=GpuOptions(enforce_f32=True),
        )
        try:
            model = CompiledModel.from_file(str(path), options=options)
        except RuntimeError:
            continue
        return model, hardware is HardwareAccelerator.GPU and model.is_fully_accelerated()
    return None, False

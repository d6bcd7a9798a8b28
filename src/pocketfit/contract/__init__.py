"""What the preprocessing contract says: frozen dataclasses, and JSON; `pocketfit.data.contract` carries it out."""

from __future__ import annotations

from pocketfit.contract.inputs import Matrix, PixelFormat, Pixels, Range, Yuv, YuvFormat
from pocketfit.contract.json_form import contract_from_json, contract_to_json, output_from_json
from pocketfit.contract.outputs import Activation, Boxes, BoxFormat, Classes, Embedding, Output, Task
from pocketfit.contract.sizes import Align, Crop, Exact, Kernel, Letterbox, Rounding, ShorterSide
from pocketfit.contract.spec import Color, Contract, Dtype, Layout, Quantization

__all__ = [
    "Activation",
    "Align",
    "BoxFormat",
    "Boxes",
    "Classes",
    "Color",
    "Contract",
    "Crop",
    "Dtype",
    "Embedding",
    "Exact",
    "Kernel",
    "Layout",
    "Letterbox",
    "Matrix",
    "Output",
    "PixelFormat",
    "Pixels",
    "Quantization",
    "Range",
    "Rounding",
    "ShorterSide",
    "Task",
    "Yuv",
    "YuvFormat",
    "contract_from_json",
    "contract_to_json",
    "output_from_json",
]

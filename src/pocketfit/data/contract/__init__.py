"""The preprocessing contract in integer arithmetic: what an app does to an image, bit for bit.

docs/preprocessing.md is the definition for those who write it in another language; `vectors` writes what they compare
with. `embed`, which needs torch, is imported by its own name.
"""

from __future__ import annotations

from pocketfit.contract.inputs import Matrix, PixelFormat, Pixels, Range, Yuv, YuvFormat
from pocketfit.contract.json_form import contract_from_json, contract_to_json
from pocketfit.contract.outputs import Activation, Boxes, BoxFormat, Classes, Embedding
from pocketfit.contract.sizes import Align, Crop, Exact, Kernel, Letterbox, Rounding, ShorterSide
from pocketfit.contract.spec import Color, Contract, Dtype, Layout, Quantization
from pocketfit.data.contract.geometry import Placement, placement
from pocketfit.data.contract.postprocess import Detection, Prediction, postprocess
from pocketfit.data.contract.recognise import from_keras, from_timm, from_torchvision
from pocketfit.data.contract.run import prepare
from pocketfit.data.contract.vectors import write_vectors
from pocketfit.data.contract.yuv import Plane, YuvImage, from_buffer

__all__ = [
    "Activation",
    "Align",
    "BoxFormat",
    "Boxes",
    "Classes",
    "Color",
    "Contract",
    "Crop",
    "Detection",
    "Dtype",
    "Embedding",
    "Exact",
    "Kernel",
    "Layout",
    "Letterbox",
    "Matrix",
    "PixelFormat",
    "Pixels",
    "Placement",
    "Plane",
    "Prediction",
    "Quantization",
    "Range",
    "Rounding",
    "ShorterSide",
    "Yuv",
    "YuvFormat",
    "YuvImage",
    "contract_from_json",
    "contract_to_json",
    "from_buffer",
    "from_keras",
    "from_timm",
    "from_torchvision",
    "placement",
    "postprocess",
    "prepare",
    "write_vectors",
]

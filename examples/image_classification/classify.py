"""What an app does with the bundle, in Python: python classify.py BUNDLE PICTURE ..."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from pocketfit.bundle import read_bundle
from pocketfit.data.contract import postprocess, prepare
from pocketfit.runtimes import get_runtime


def main(path: Path, pictures: list[Path]) -> None:
    """The three best classes of each picture, by the chosen artifact for ONNX Runtime."""
    bundle = read_bundle(path)
    contract = bundle.contract()
    assert contract is not None
    entry = next(one for one in bundle.manifest.artifacts if one.chosen and one.runtime == "onnxruntime")
    session = get_runtime(entry.runtime).open(bundle.artifact(entry))
    for picture in pictures:
        with Image.open(picture) as image:
            pixels = np.asarray(image.convert("RGB"))
        answers = postprocess(session.run([prepare(pixels, contract)]), contract)
        told = ", ".join(f"{one.label} {100 * one.score:.1f}%" for one in answers[:3])
        print(f"{picture.parent.name}/{picture.name}: {told}  ({entry.title})")


if __name__ == "__main__":
    main(Path(sys.argv[1]), list(map(Path, sys.argv[2:])))

"""Real images for the benchmarks, unpacked once into image folders.

The archives are not part of the repository: they lie in a data folder of the user's own, named by the
environment variable ``POCKETFIT_DATA``. What is unpacked from them goes into a cache outside the
repository, named by ``POCKETFIT_BENCH_CACHE``, because the images may not be redistributed.
"""

import gzip
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

Part = Literal["train", "test"]
Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]

DATA_VARIABLE = "POCKETFIT_DATA"
CACHE_VARIABLE = "POCKETFIT_BENCH_CACHE"
IMAGENET_CLASSES = 1000

_PARTS: tuple[Part, ...] = ("train", "test")
# Only the 10,000 test images of MNIST are at hand; the first of them serve to train on.
_MNIST_TRAIN = 8000
_MNIST_SIDE = 28
# Bytes before the values in the two kinds of IDX file: a magic number and one size for each dimension.
_IDX_IMAGES_HEADER = 16
_IDX_LABELS_HEADER = 8


def data_file(relative: str) -> Path:
    """Finds one file of the data folder.

    Args:
        relative: The file's path inside the data folder, with forward slashes.

    Returns:
        The path of the existing file.

    Raises:
        FileNotFoundError: The data folder or the file in it is missing.
    """
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get(DATA_VARIABLE) or default).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no benchmark data folder at {folder}: set {DATA_VARIABLE} to the folder that holds the data"
        )
    path = folder / relative
    if not path.is_file():
        raise FileNotFoundError(f"{relative} is missing from the data folder {folder} (see {DATA_VARIABLE})")
    return path


def imagenet_1300() -> Path:
    """Lays out 1,300 ImageNet validation images as an image folder.

    The images are 227x227 RGB JPEGs of 725 classes. They are easier than the full validation set, so
    that a score on them only serves to compare two versions of one network.

    Returns:
        A folder with the 1,000 sub-folders "0000" to "0999". A sub-folder's name is the class index of
        the images in it; those of classes without images are there too, but empty, so that the index
        of a sub-folder in sorted order equals the class index.
    """
    return _build_once(cache_folder() / "imagenet-val-1300", _fill_imagenet)


def cifar10_jpeg() -> tuple[Path, Path]:
    """Lays out CIFAR-10 as two image folders.

    The images are 32x32 RGB, re-encoded as JPEG: their pixels differ slightly from the original
    CIFAR-10, so that a network should be trained and tested on the same encoding.

    Returns:
        The training folder (50,000 images) and the test folder (10,000 images), each with ten
        sub-folders named by class, "airplane" to "truck". Their alphabetical order is that of the
        CIFAR-10 class indices.
    """
    root = _build_once(cache_folder() / "cifar10-jpeg", _fill_cifar10)
    return root / "train", root / "test"


def cifar10_folder() -> Path:
    """Lays out the 10,000 test images of CIFAR-10 as an image folder.

    Returns:
        A folder with ten sub-folders named by class; see :func:`cifar10_jpeg`.
    """
    return cifar10_jpeg()[1]


def cifar10_arrays(part: Part) -> Arrays:
    """Decodes one part of CIFAR-10.

    Args:
        part: "train" (50,000 images) or "test" (10,000 images).

    Returns:
        The images as (N, 32, 32, 3) uint8 RGB, ordered by class, and the (N,) class indices.
    """
    folder = _build_once(cache_folder() / "cifar10-arrays", _fill_cifar10_arrays)
    return np.load(folder / f"{part}-images.npy"), np.load(folder / f"{part}-labels.npy")


def mnist_arrays(part: Part) -> Arrays:
    """Reads one part of the 10,000 MNIST test images.

    Args:
        part: "train" for the first 8,000 images, "test" for the last 2,000.

    Returns:
        The images as (N, 28, 28, 1) uint8, white on black, and the (N,) digits.
    """
    rows = slice(None, _MNIST_TRAIN) if part == "train" else slice(_MNIST_TRAIN, None)
    pixels = _read_idx("mnist-lstm/t10k-images-idx3-ubyte.gz", _IDX_IMAGES_HEADER)
    digits = _read_idx("mnist-lstm/t10k-labels-idx1-ubyte.gz", _IDX_LABELS_HEADER)
    return pixels.reshape(-1, _MNIST_SIDE, _MNIST_SIDE, 1)[rows], digits[rows].astype(np.int64)


def mnist_npz() -> Path:
    """Writes the last 2,000 MNIST test images, on which no network of the benchmarks is trained.

    Returns:
        An ``.npz`` file with "x", (2000, 1, 28, 28) float32 in 0..1, and "y", the digits.
    """
    return _build_once(cache_folder() / "mnist", _fill_mnist) / "test.npz"


def cache_folder() -> Path:
    """Returns the folder outside the repository for what benchmarks make; it need not exist yet."""
    default = Path.home() / ".cache" / "pocketfit-benchmarks"
    return Path(os.environ.get(CACHE_VARIABLE) or default).expanduser()


def _build_once(target: Path, fill: Callable[[Path], None]) -> Path:
    """Creates a folder in one step, unless it exists already.

    The content is made in a temporary folder beside the target, which is then renamed. An interrupted
    run thus never leaves a half-filled target behind that a later run would take for complete.

    Args:
        target: The folder to make.
        fill: Writes the content into the empty folder that it is given.

    Returns:
        The target.
    """
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as scratch:
        content = Path(scratch) / "content"
        content.mkdir()
        fill(content)
        try:
            content.rename(target)
        except OSError:
            # Another process may have finished the same folder meanwhile; its copy is as good.
            if not target.is_dir():
                raise
    return target


def _fill_imagenet(folder: Path) -> None:
    """Unpacks the 1,300 images into one sub-folder for each of the 1,000 classes.

    Args:
        folder: The empty folder to fill.
    """
    labels = _read_labels(data_file("imagenet-val-1300/dataset.txt"))
    unpacked = folder / "unpacked"
    _unpack(data_file("imagenet-val-1300/val1300_227.tar"), unpacked)
    for index in range(IMAGENET_CLASSES):
        (folder / f"{index:04d}").mkdir()
    for name, index in labels.items():
        source = unpacked / name
        source.rename(folder / f"{index:04d}" / source.name)
    # An image folder reader would count this folder as a class.
    shutil.rmtree(unpacked)


def _fill_cifar10(folder: Path) -> None:
    """Unpacks both parts of CIFAR-10; each archive holds one top folder, "train" or "test".

    Args:
        folder: The empty folder to fill.
    """
    for part in ("train", "test"):
        _unpack(data_file(f"cifar10-jpeg/{part}.tar.xz"), folder)


def _fill_cifar10_arrays(folder: Path) -> None:
    """Decodes both parts of CIFAR-10 into one file of images and one of labels each.

    Args:
        folder: The empty folder to fill.
    """
    for part, images in zip(_PARTS, cifar10_jpeg(), strict=True):
        classes = sorted(path for path in images.iterdir() if path.is_dir())
        files = [(path, index) for index, each in enumerate(classes) for path in sorted(each.iterdir())]
        np.save(folder / f"{part}-images.npy", np.stack([_decode(path) for path, _ in files]))
        np.save(folder / f"{part}-labels.npy", np.array([index for _, index in files], dtype=np.int64))


def _decode(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _fill_mnist(folder: Path) -> None:
    """Writes the images that are held out, as floats.

    Args:
        folder: The empty folder to fill.
    """
    pixels, digits = mnist_arrays("test")
    x = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255
    np.savez_compressed(folder / "test.npz", x=x, y=digits)


def _read_idx(relative: str, header: int) -> npt.NDArray[np.uint8]:
    """Reads the bytes of a gzipped IDX file, without their shape.

    Args:
        relative: The file's path inside the data folder.
        header: Bytes before the values.

    Returns:
        The values in one row.
    """
    values = gzip.decompress(data_file(relative).read_bytes())
    return np.frombuffer(values, dtype=np.uint8, offset=header)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpacks a tar archive, refusing members that would land outside the folder.

    Args:
        archive: The archive, compressed or not.
        folder: Where to unpack it; made if missing.
    """
    with tarfile.open(archive) as members:
        members.extractall(folder, filter="data")


def _read_labels(listing: Path) -> dict[str, int]:
    """Reads a list of images with their class indices.

    Args:
        listing: A text file with one "path, index" on each line; indices are 0 to 999.

    Returns:
        The class index of each image path, the path relative to the top of the archive.
    """
    labels: dict[str, int] = {}
    for line in listing.read_text(encoding="utf-8").splitlines():
        if line.strip():
            name, index = line.rsplit(",", 1)
            labels[name.strip()] = int(index)
    return labels

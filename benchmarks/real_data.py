"""Real images for the benchmarks, unpacked once into image folders.

The archives are not part of the repository: they lie in a data folder of the user's own, named by the
environment variable ``POCKETFIT_DATA``. What is unpacked from them goes into a cache outside the
repository, named by ``POCKETFIT_BENCH_CACHE``, because the images may not be redistributed.
"""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

DATA_VARIABLE = "POCKETFIT_DATA"
CACHE_VARIABLE = "POCKETFIT_BENCH_CACHE"
IMAGENET_CLASSES = 1000


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

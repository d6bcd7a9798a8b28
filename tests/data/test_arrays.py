"""`.npz` files and datasets of the user's own."""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest

from pocketfit.contract import Color, Contract, Crop, ShorterSide
from pocketfit.data import load_data
from pocketfit.errors import DataError, OptionError

RANDOM = np.random.default_rng(0)
FLOATS = RANDOM.normal(size=(20, 3, 8, 8)).astype(np.float32)
IMAGES = RANDOM.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
LARGE = RANDOM.integers(0, 256, (20, 16, 20, 3), dtype=np.uint8)
LABELS = np.arange(20) % 4


def load(path, tmp_path, **options):
    defaults = {"preprocess": None, "input_shape": (3, 8, 8), "cache": tmp_path / "cache", "calibration": 5}
    return load_data(str(path), **{**defaults, **options})


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return write


def row_of(sample, among):
    (position,) = (i for i, other in enumerate(among) if np.array_equal(sample, other))
    return position


def test_float_samples(npz, tmp_path):
    data = load(npz(x=FLOATS, y=LABELS), tmp_path)
    assert data.calibration.labels is None
    assert (len(data.calibration.inputs), len(data.evaluation.inputs)) == (5, 15)
    assert data.evaluation.preprocess is None
    assert data.notes == ()
    rows = [row_of(sample, FLOATS) for sample in data.evaluation.inputs]
    assert data.evaluation.labels.tolist() == [row % 4 for row in rows]
    assert not set(rows) & {row_of(sample, FLOATS) for sample in data.calibration.inputs}


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(npz, tmp_path, dtype):
    assert load(npz(x=FLOATS.astype(dtype)), tmp_path).evaluation.inputs.dtype == np.float32


def test_labels_may_be_missing(npz, tmp_path):
    assert load(npz(x=FLOATS), tmp_path).evaluation.labels is None


def test_a_preprocessing_is_not_applied_to_floats(npz, tmp_path):
    data = load(npz(x=FLOATS, y=LABELS), tmp_path, preprocess=Contract(crop=Crop((8, 8))))
    assert data.evaluation.preprocess is None
    assert "taken as they are" in data.notes[0]


def test_images_of_the_right_size_are_not_resized_again(npz, tmp_path):
    data = load(npz(x=IMAGES, y=LABELS), tmp_path, preprocess=Contract(resize=ShorterSide(10), crop=Crop((8, 8))))
    assert all(row_of(image, IMAGES) >= 0 for image in data.evaluation.inputs)
    assert "not resized" in data.notes[0]


def test_larger_images_are_resized(npz, tmp_path):
    data = load(npz(x=LARGE, y=LABELS), tmp_path)
    assert data.evaluation.inputs.shape == (15, 8, 8, 3)
    assert data.evaluation.preprocess == Contract(resize=ShorterSide(9), crop=Crop((8, 8)))
    assert "No preprocessing was given" in data.notes[0]


@pytest.mark.parametrize("shape", [(20, 8, 8), (20, 8, 8, 1)])
def test_gray_images(npz, tmp_path, shape):
    gray = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    data = load(npz(x=gray, y=LABELS), tmp_path, input_shape=(1, 8, 8))
    assert data.evaluation.inputs.shape == (15, 8, 8, 3)
    assert data.evaluation.preprocess.color is Color.GRAY


def test_the_split_is_the_same_every_time(npz, tmp_path):
    first, second = (load(npz(x=FLOATS, y=LABELS), tmp_path) for _ in range(2))
    assert first.calibration.fingerprint == second.calibration.fingerprint
    assert first.evaluation.fingerprint == second.evaluation.fingerprint


def test_fingerprints_follow_samples_and_labels(npz, tmp_path):
    one = load(npz(x=FLOATS, y=LABELS), tmp_path)
    two = load(npz(x=FLOATS, y=(LABELS + 1) % 4), tmp_path)
    three = load(npz(x=FLOATS + 1, y=LABELS), tmp_path)
    assert len({data.evaluation.fingerprint for data in (one, two, three)}) == 3
    assert one.calibration.fingerprint == two.calibration.fingerprint


def with_value(value):
    bad = FLOATS.copy()
    bad[7, 0, 0, 0] = value
    bad[9, 0, 0, 0] = value
    return bad


REFUSED = {
    "nan": ({"x": with_value(np.nan), "y": LABELS}, "NaN or infinity in 2 samples, the first is number 7"),
    "infinity": ({"x": with_value(np.inf), "y": LABELS}, "NaN or infinity"),
    "no x": ({"images": FLOATS, "y": LABELS}, "holds images, y, but no x"),
    "nothing": ({}, "holds nothing"),
    "scalar": ({"x": np.float32(3)}, "single number"),
    "other shape": ({"x": np.zeros((20, 3, 9, 9), np.float32)}, "3x9x9, the model takes 3x8x8"),
    "channels last": ({"x": np.zeros((20, 8, 8, 3), np.float32)}, "channels come last"),
    "integers": ({"x": np.zeros((20, 3, 8, 8), np.int64)}, "is int64"),
    "text": ({"x": np.array(["a"] * 20)}, "is <U1"),
    "five dimensions": ({"x": np.zeros((20, 1, 8, 8, 3), np.uint8)}, r"shape \(1, 8, 8, 3\)"),
    "channels first": ({"x": np.zeros((20, 3, 8, 8), np.uint8)}, r"shape \(3, 8, 8\)"),
    "too few": ({"x": FLOATS[:7], "y": LABELS[:7]}, "holds 7 samples"),
    "empty": ({"x": FLOATS[:0], "y": LABELS[:0]}, "holds 0 samples"),
    "fewer labels": ({"x": FLOATS, "y": LABELS[:19]}, r"20 samples in x but y has the shape \(19,\)"),
    "one class": ({"x": FLOATS, "y": np.full(20, 3)}, "of class 3; an accuracy needs"),
    "negative": ({"x": FLOATS, "y": LABELS - 1}, "from -1 to 2; allowed is 0 or more"),
    "float labels": ({"x": FLOATS, "y": LABELS.astype(float)}, "are float64"),
    "one-hot labels": ({"x": FLOATS, "y": np.eye(20, dtype=int)}, r"shape \(20, 20\)"),
    "single label": ({"x": FLOATS, "y": np.int64(3)}, "give"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(npz, tmp_path, case):
    arrays, words = REFUSED[case]
    with pytest.raises(DataError, match=words):
        load(npz(**arrays), tmp_path)


def test_a_channel_that_is_missing(npz, tmp_path):
    with pytest.raises(DataError, match="channel is missing"):
        load(npz(x=np.zeros((20, 8, 8), np.float32)), tmp_path, input_shape=(1, 8, 8))


def test_labels_beyond_the_models_outputs(npz, tmp_path):
    path = npz(x=FLOATS, y=LABELS)
    load(path, tmp_path, outputs=4)
    with pytest.raises(DataError, match="from 0 to 3; allowed is 0 to 2, as the model has 3 outputs"):
        load(path, tmp_path, outputs=3)


def test_objects_are_never_unpickled(npz, tmp_path):
    with pytest.raises(DataError, match="never unpickles"):
        load(npz(x=np.array([{}] * 20, dtype=object)), tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 broken", bytes(300)])
def test_garbage(tmp_path, content):
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "data.npz", tmp_path)


@pytest.mark.parametrize("share", [0.2, 0.7, 0.99])
def test_truncated(npz, tmp_path, share):
    path = npz(x=FLOATS, y=LABELS)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="cannot be read"):
        load(path, tmp_path)


def test_a_flipped_byte(npz, tmp_path):
    path = npz(x=FLOATS, y=LABELS)
    content = bytearray(path.read_bytes())
    content[2000] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        load(path, tmp_path)


@pytest.mark.parametrize("spec", ["nowhere.npz", "nowhere", "nowhere/", "photos.zip", ""])
def test_what_is_not_there(tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="nowhere.npz is not a file" if spec.endswith("npz") else "is no data"):
        load_data(spec, preprocess=None, input_shape=(3, 8, 8), cache=tmp_path)


def test_numbers_of_samples_below_one(npz, tmp_path):
    with pytest.raises(OptionError, match="at least 1"):
        load(npz(x=FLOATS), tmp_path, calibration=0)


DATASETS = """
    import numpy as np
    import torch
    from PIL import Image

    class Dataset(torch.utils.data.Dataset):
        def __init__(self, make, label=lambda i: i % 4, count=20):
            self.make, self.label, self.count = make, label, count
            self.read = []
        def __len__(self): return self.count
        def __getitem__(self, i):
            self.read.append(i)
            return self.make(i) if self.label is None else (self.make(i), self.label(i))

    def image(i): return np.full((8, 8, 3), i % 256, np.uint8)

    def tensors(): return Dataset(lambda i: torch.full((3, 8, 8), float(i)))
    def tensor_labels(): return Dataset(lambda i: torch.full((3, 8, 8), float(i)), lambda i: torch.tensor(i % 4))
    def pictures(): return Dataset(image)
    def pil(): return Dataset(lambda i: Image.fromarray(image(i)))
    def unlabelled(): return Dataset(lambda i: torch.full((3, 8, 8), float(i)), None)
    def plain_list(): return [(image(i), i % 4) for i in range(20)]
    def huge(): return Dataset(image, count=10**6)

    def masks(): return Dataset(lambda i: torch.full((3, 8, 8), float(i)), lambda i: torch.full((8, 8), i))
    def ragged(): return Dataset(lambda i: torch.full((3, 8, 8), float(i)), lambda i: torch.zeros(i % 3))

    def nothing(): return None
    def stream(): return iter([1, 2])
    def fails(): return Dataset(lambda i: {}[i])
    def text(): return Dataset(lambda i: "image.png")
    def ints(): return Dataset(lambda i: torch.zeros(3, 8, 8, dtype=torch.long))
    def some_labels(): return [image(i) if i % 2 else (image(i), i) for i in range(20)]
    def shapes(): return Dataset(lambda i: torch.zeros(3, 8, 8 + i % 2))
    def nan(): return Dataset(lambda i: torch.full((3, 8, 8), float("nan")))
    def one_class(): return Dataset(image, lambda i: 2)
    def float_labels(): return Dataset(image, lambda i: i / 2)
    def text_labels(): return Dataset(image, lambda i: "cat")
    def seven(): return Dataset(image, count=7)
    def wrong_shape(): return Dataset(lambda i: torch.zeros(1, 8, 8))
    def channels_first(): return Dataset(lambda i: np.zeros((3, 8, 8), np.uint8))
    def raises(): raise FileNotFoundError("train.csv")
"""


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    (tmp_path / "my_datasets.py").write_text(textwrap.dedent(DATASETS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "my_datasets.py"
    sys.modules.pop("my_datasets", None)


@pytest.mark.parametrize("name", ["tensors", "tensor_labels", "pictures", "pil", "plain_list"])
def test_datasets(datasets, tmp_path, name):
    data = load(f"{datasets}:{name}", tmp_path)
    assert (len(data.calibration.inputs), len(data.evaluation.inputs)) == (5, 15)
    assert data.calibration.labels is None
    assert data.evaluation.labels.tolist() == [int(sample.ravel()[0]) % 4 for sample in data.evaluation.inputs]


def test_a_dataset_by_module(datasets, tmp_path):
    assert len(load("my_datasets:tensors", tmp_path).evaluation.inputs) == 15


def test_a_dataset_without_labels(datasets, tmp_path):
    assert load(f"{datasets}:unlabelled", tmp_path).evaluation.labels is None


def test_of_a_huge_dataset_only_the_chosen_are_read(datasets, tmp_path):
    steps = []
    data = load(f"{datasets}:huge", tmp_path, evaluation=10, progress=lambda done, total: steps.append((done, total)))
    assert len(data.evaluation.inputs) == 10
    assert steps[-1] == (15, 15)


REFUSED_DATASETS = {
    "missing": "no 'missing'",
    "nothing": "returned a NoneType",
    "stream": "map-style",
    "fails": r"Item \d+ .*KeyError",
    "text": "is a str",
    "ints": "of int64",
    "some_labels": "Some items",
    "shapes": "different shapes",
    "nan": "NaN or infinity",
    "one_class": "of class 2",
    "float_labels": "are float64",
    "text_labels": "whole number",
    "seven": "holds 7 samples",
    "wrong_shape": "1x8x8, the model takes 3x8x8",
    "channels_first": r"shape \(3, 8, 8\)",
    "raises": r"FileNotFoundError: train\.csv.*my_datasets\.py, line \d+",
}


@pytest.mark.parametrize("name", REFUSED_DATASETS)
def test_refused_datasets(datasets, tmp_path, name):
    with pytest.raises(DataError, match=REFUSED_DATASETS[name]):
        load(f"{datasets}:{name}", tmp_path)


def as_they_are(targets, spec):
    return targets


def test_targets_of_any_shape_stay_with_their_samples(npz, tmp_path):
    targets = FLOATS[:, :2] * 2
    data = load(npz(x=FLOATS, y=targets), tmp_path, check=as_they_are)
    assert data.calibration.labels is None
    np.testing.assert_array_equal(data.evaluation.labels, data.evaluation.inputs[:, :2] * 2)
    other = load(npz(x=FLOATS, y=targets + 0.25), tmp_path, check=as_they_are)
    assert other.evaluation.fingerprint != data.evaluation.fingerprint


def test_a_dataset_with_arrays_for_targets(datasets, tmp_path):
    data = load(f"{datasets}:masks", tmp_path, check=as_they_are)
    assert data.evaluation.labels.shape == (15, 8, 8)
    assert data.evaluation.labels[:, 0, 0].tolist() == data.evaluation.inputs[:, 0, 0, 0].tolist()


def test_targets_of_several_shapes(datasets, tmp_path):
    with pytest.raises(DataError, match=r"different shapes.*pad what is shorter"):
        load(f"{datasets}:ragged", tmp_path, check=as_they_are)

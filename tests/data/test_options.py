from __future__ import annotations

from dataclasses import replace

import pytest

from pocketfit.contract import Color, Contract, Crop, Exact, Kernel, Layout, Letterbox, ShorterSide, contract_to_json
from pocketfit.data import Changes, parse_preprocess
from pocketfit.errors import OptionError

FULL = Contract(
    resize=ShorterSide(256),
    crop=Crop((224, 192)),
    color=Color.BGR,
    scale=1 / 128,
    mean=(0.1, 0.2, 0.3),
    std=(1.0, 2.0, 3.0),
)


def changed(contract):
    """What is otherwise than by default."""
    return {name: value for name, value in vars(contract).items() if value != getattr(Contract(), name)}


def test_all_options():
    parsed = parse_preprocess(
        resize="256", crop="224x192", color="bgr", scale="1/128", mean="0.1,0.2,0.3", std="1, 2, 3"
    )
    assert parsed == Changes(changed(FULL))


def test_nothing_said_is_none():
    assert parse_preprocess() is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resize": "256x320"}, Contract(resize=Exact((256, 320)))),
        ({"resize": "256X320"}, Contract(resize=Exact((256, 320)))),
        ({"crop": "224"}, Contract(crop=Crop((224, 224)))),
        ({"color": "GRAY"}, Contract(color=Color.GRAY)),
        ({"scale": "1"}, Contract(scale=1.0)),
        ({"mean": "127.5", "std": "1e2"}, Contract(mean=(127.5,), std=(100.0,))),
        ({"mean": "-1"}, Contract(mean=(-1.0,))),
        ({"kernel": "Bicubic", "antialias": False}, Contract(kernel=Kernel.BICUBIC, antialias=False)),
        ({"letterbox": "640"}, Contract(resize=Letterbox((640, 640)))),
        ({"letterbox": "480x640", "fill": "0"}, Contract(resize=Letterbox((480, 640), (0, 0, 0)))),
        ({"letterbox": "9", "fill": "1, 2,3"}, Contract(resize=Letterbox((9, 9), (1, 2, 3)))),
        ({"layout": "nhwc"}, Contract(layout=Layout.NHWC)),
    ],
)
def test_each_option(options, expected):
    assert parse_preprocess(**options) == Changes(changed(expected))


def test_options_change_what_the_model_says_and_a_file_replaces_it(tmp_path):
    file = tmp_path / "contract.json"
    file.write_text(contract_to_json(FULL))
    base = Contract(resize=ShorterSide(100), kernel=Kernel.BICUBIC)
    changes = parse_preprocess(crop="9")
    assert isinstance(changes, Changes)
    assert changes.over(base) == replace(base, crop=Crop((9, 9)))
    assert parse_preprocess(file=file) == FULL
    assert parse_preprocess(file=file, color="rgb") == replace(FULL, color=Color.RGB)


def test_a_change_that_contradicts_the_model_is_refused():
    changes = parse_preprocess(color="gray")
    assert isinstance(changes, Changes)
    with pytest.raises(OptionError, match="mean has 3 numbers; gray takes 1"):
        changes.over(Contract(mean=(0.1, 0.2, 0.3)))


def test_fields_of_a_file_may_be_left_out(tmp_path):
    file = tmp_path / "contract.json"
    file.write_text('{"crop": {"size": [8, 8]}}')
    assert parse_preprocess(file=file) == Contract(crop=Crop((8, 8)))


REFUSED = [
    ({"resize": "big"}, "--resize 'big'"),
    ({"resize": "1x2x3"}, "height x width"),
    ({"resize": "-5"}, "--resize"),
    ({"resize": ""}, "--resize"),
    ({"resize": "0"}, "allowed are 1 to 65535 pixels"),
    ({"crop": "0x4"}, "allowed are 1 to 65535 pixels"),
    ({"resize": "8", "crop": "9"}, "does not fit into the resize"),
    ({"resize": "8", "letterbox": "9"}, "exclude each other"),
    ({"fill": "0"}, "Give --letterbox too"),
    ({"letterbox": "8", "fill": "1,2"}, "--letterbox-fill '1,2'"),
    ({"letterbox": "8", "fill": "256"}, "from 0 to 255"),
    ({"kernel": "lanczos"}, "nearest, bilinear, bicubic, box, area"),
    ({"layout": "hwc"}, "nchw, nhwc"),
    ({"crop": "2.5"}, "--crop"),
    ({"color": "yuv"}, "rgb, bgr, gray"),
    ({"scale": "1/0"}, "--scale '1/0'"),
    ({"scale": "0"}, "not 0"),
    ({"scale": "nan"}, "finite"),
    ({"mean": "0.1,0.2"}, "mean has 2 numbers"),
    ({"mean": "0.1,0.2,0.3", "color": "gray"}, "gray takes 1"),
    ({"mean": "a,b,c"}, "--mean 'a'"),
    ({"mean": "inf"}, "finite"),
    ({"std": "1,0,1"}, "std not 0"),
    ({"std": "1,,1"}, "--std"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_refused_options(options, words):
    with pytest.raises(OptionError, match=words):
        parse_preprocess(**options)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not valid"),
        (b"[]", "not valid"),
        (b'{"size": 3}', "size: Unexpected keyword"),
        (b'{"resize": "many"}', "resize"),
        (b'{"std": [0]}', "std"),
        (b'{"color": "yuv"}', "color"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_refused_files(tmp_path, content, words):
    file = tmp_path / "spec.json"
    file.write_bytes(content)
    with pytest.raises(OptionError, match=words):
        parse_preprocess(file=file)


def test_a_missing_file(tmp_path):
    with pytest.raises(OptionError, match="cannot be read"):
        parse_preprocess(file=tmp_path / "nowhere.json")

from __future__ import annotations

import json

import pytest

from pocketfit.data import parse_preprocess, preprocess_from_json, preprocess_to_json
from pocketfit.errors import OptionError
from pocketfit.types import Color, PreprocessSpec

FULL = PreprocessSpec(
    resize=256, crop=(224, 192), color=Color.BGR, scale=1 / 128, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)
)


def test_all_options():
    parsed = parse_preprocess(
        resize="256", crop="224x192", color="bgr", scale="1/128", mean="0.1,0.2,0.3", std="1, 2, 3"
    )
    assert parsed == FULL


def test_nothing_said_is_none():
    assert parse_preprocess() is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resize": "256x320"}, PreprocessSpec(resize=(256, 320))),
        ({"resize": "256X320"}, PreprocessSpec(resize=(256, 320))),
        ({"crop": "224"}, PreprocessSpec(crop=(224, 224))),
        ({"color": "GRAY"}, PreprocessSpec(color=Color.GRAY)),
        ({"scale": "1"}, PreprocessSpec(scale=1.0)),
        ({"mean": "127.5", "std": "1e2"}, PreprocessSpec(mean=(127.5,), std=(100.0,))),
        ({"mean": "-1"}, PreprocessSpec(mean=(-1.0,))),
    ],
)
def test_each_option(options, expected):
    assert parse_preprocess(**options) == expected


def test_options_change_the_base_and_the_file_replaces_it(tmp_path):
    file = tmp_path / "spec.json"
    file.write_text(preprocess_to_json(FULL))
    base = PreprocessSpec(resize=100)
    assert parse_preprocess(base=base) == base
    assert parse_preprocess(base=base, crop="9") == PreprocessSpec(resize=100, crop=(9, 9))
    assert parse_preprocess(base=base, file=file) == FULL
    assert parse_preprocess(file=file, color="rgb").color is Color.RGB


@pytest.mark.parametrize("spec", [FULL, PreprocessSpec(), PreprocessSpec(resize=(3, 4), color=Color.GRAY)])
def test_json_and_back(spec):
    assert preprocess_from_json(preprocess_to_json(spec)) == spec


def test_json_is_plain():
    assert json.loads(preprocess_to_json(FULL)) == {
        "resize": 256,
        "crop": [224, 192],
        "color": "bgr",
        "scale": 1 / 128,
        "mean": [0.1, 0.2, 0.3],
        "std": [1.0, 2.0, 3.0],
    }


def test_fields_may_be_left_out():
    assert preprocess_from_json('{"crop": [8, 8]}') == PreprocessSpec(crop=(8, 8))


REFUSED = [
    ({"resize": "big"}, "--resize 'big'"),
    ({"resize": "1x2x3"}, "height x width"),
    ({"resize": "-5"}, "--resize"),
    ({"resize": ""}, "--resize"),
    ({"resize": "0"}, "at least 1 pixel"),
    ({"crop": "0x4"}, "at least 1 pixel"),
    ({"crop": "2.5"}, "--crop"),
    ({"color": "yuv"}, "rgb, bgr, gray"),
    ({"scale": "1/0"}, "--scale '1/0'"),
    ({"scale": "0"}, "not 0"),
    ({"scale": "nan"}, "finite"),
    ({"mean": "0.1,0.2"}, "mean has 2 numbers"),
    ({"mean": "0.1,0.2,0.3", "color": "gray"}, "gray images take 1"),
    ({"mean": "a,b,c"}, "--mean 'a'"),
    ({"mean": "inf"}, "finite"),
    ({"std": "1,0,1"}, "std has a 0"),
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
        (b'{"size": 3}', "unknown key size"),
        (b'{"resize": "many"}', "resize"),
        (b'{"std": [0]}', "std has a 0"),
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

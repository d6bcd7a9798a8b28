import pytest

from pocketfit.cli.options import assign_options, parse_shape
from pocketfit.errors import OptionError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3x224x224", (3, 224, 224)),
        ("3X32X48", (3, 32, 48)),
        ("1,28,28", (1, 28, 28)),
        (" 3 x 8 x 8 ", (3, 8, 8)),
        ("64", (64,)),
    ],
)
def test_shapes_are_read(text: str, expected: tuple[int, ...]) -> None:
    assert parse_shape(text) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "3x", "x3", "3xx4", "0x2x2", "3x-1x2", "3.5x2", "three", "3x224x224px", "3*4"]
)
def test_other_shapes_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(OptionError, match=r"--input .* Allowed .* 3x224x224") as caught:
        parse_shape(text)
    assert repr(text) in str(caught.value)


def test_options_go_to_the_runtimes_that_take_them() -> None:
    asked = {"ios-target": "18", "compute-units": None}
    assert assign_options(("onnxruntime", "coreml"), asked) == {"coreml": {"ios-target": "18"}}
    assert assign_options(None, asked) == {"coreml": {"ios-target": "18"}}
    assert assign_options(("onnxruntime",), {"ios-target": None}) == {}
    assert assign_options(("ncnn", "mnn"), {"batch": "dynamic"}) == {"mnn": {"batch": "dynamic"}}


@pytest.mark.parametrize(
    ("targets", "asked", "said"),
    [
        (("onnxruntime",), {"ios-target": "18"}, "--ios-target 18 is for none of the targets: onnxruntime."),
        (("ncnn", "litert"), {"batch": "dynamic"}, "--batch dynamic is for none of the targets: ncnn, litert."),
        (("coreml",), {"ios-target": "9"}, "Core ML has no ios-target '9'. Allowed: 17, 16, 18, 26."),
    ],
)
def test_options_that_nobody_takes_are_refused(targets: tuple[str, ...], asked: dict[str, str], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        assign_options(targets, asked)
    assert str(caught.value) == said

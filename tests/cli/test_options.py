import pytest

from pocketfit.cli.options import parse_shape
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

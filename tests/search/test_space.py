from __future__ import annotations

import pytest

from pocketfit.errors import OptionError
from pocketfit.search.space import Deployment, Point, Space, smaller_inputs
from pocketfit.types import Precision

INT8 = Deployment("ncnn", Precision.INT8)
FLOAT = Deployment("onnxruntime", Precision.FLOAT32)


def test_every_combination_is_a_candidate() -> None:
    space = Space((100, 50), ((3, 32, 32), (3, 24, 24)), (FLOAT, INT8))

    assert len(space) == len(set(space.points())) == 8
    assert str(Point(50, (3, 24, 24), INT8)) == "ncnn int8, pruned to 50%, 3x24x24"


def test_the_whole_model_is_tried_first_in_the_smallest_precision() -> None:
    space = Space((100, 50), ((3, 32, 32),), (FLOAT, INT8))

    assert space.first() == [Point(100, (3, 32, 32), INT8), Point(100, (3, 32, 32), FLOAT)]


def test_a_space_without_deployments_is_refused() -> None:
    with pytest.raises(OptionError, match="no runtime is left"):
        Space((100,), ((3, 32, 32),), ())


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 224, 224), ((3, 192, 192), (3, 160, 160))),
        ((3, 32, 32), ((3, 24, 24),)),
        ((1, 8, 8), ()),  # smaller than anything can be seen in
        ((3, 320, 192), ((3, 288, 160), (3, 224, 128))),
        ((40,), ()),
        ((17, 32, 32), ()),  # no image
    ],
)
def test_smaller_inputs(shape: tuple[int, ...], expected: tuple[tuple[int, ...], ...]) -> None:
    assert smaller_inputs(shape) == expected

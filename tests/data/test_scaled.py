from __future__ import annotations

from pocketfit.contract import Contract, Crop, Exact, ShorterSide
from pocketfit.data.scaled import scaled

LARGE, SMALL = (3, 224, 224), (3, 160, 160)


def test_resize_and_crop_in_proportion() -> None:
    found = scaled(Contract(resize=ShorterSide(256), crop=Crop((224, 224))), LARGE, SMALL)

    assert found == Contract(resize=ShorterSide(183), crop=Crop((160, 160)))  # 256 x 160 / 224 = 182.9


def test_an_exact_resize() -> None:
    assert scaled(Contract(resize=Exact((224, 224))), LARGE, SMALL) == Contract(resize=Exact((160, 160)))


def test_images_that_come_in_the_right_size() -> None:
    assert scaled(Contract(), LARGE, SMALL) == Contract(resize=Exact((160, 160)))


def test_a_crop_of_images_of_unknown_size() -> None:
    assert scaled(Contract(crop=Crop((224, 224))), LARGE, SMALL) is None

"""Five points brought to where a model expects them, and the picture with them."""

from __future__ import annotations

import numpy as np
import pytest

from pocketfit.errors import DataError
from pocketfit.matching import ARCFACE, align, similarity


def moved(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return ARCFACE @ turn.T + shift


@pytest.mark.parametrize("angle", [0.0, 0.3, -2.0, np.pi])
@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_a_moved_template_is_brought_back(angle: float, scale: float) -> None:
    points = moved(angle, scale, (40, -7))
    matrix = similarity(points)
    assert matrix @ np.vstack([points.T, np.ones(5)]) == pytest.approx(ARCFACE.T, abs=1e-9)


def test_it_is_the_least_squares_solution_of_umeyama() -> None:
    """Equations 40 to 42 with the singular value decomposition that they are written with."""
    random = np.random.default_rng(0)
    points = moved(0.4, 1.7, (30, 60)) + random.normal(scale=3, size=(5, 2))
    p, q = points - points.mean(0), ARCFACE - ARCFACE.mean(0)
    u, d, vt = np.linalg.svd(q.T @ p / 5)
    s = np.diag([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ s @ vt
    scale = np.trace(np.diag(d) @ s) / (p**2).sum(1).mean()
    expected = np.column_stack([scale * rotation, ARCFACE.mean(0) - scale * rotation @ points.mean(0)])
    assert similarity(points) == pytest.approx(expected, abs=1e-12)


def test_mirrored_points_are_not_mirrored_back() -> None:
    matrix = similarity(ARCFACE * np.array((-1, 1)) + np.array((112, 0)))
    assert np.linalg.det(matrix[:, :2]) > 0


def test_a_face_in_its_place_stays_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    assert np.array_equal(align(image, ARCFACE), image)


def test_a_quarter_turn_moves_whole_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    turned = np.rot90(image)  # anticlockwise: (x, y) comes to lie at (y, 111 - x)
    points = np.column_stack([ARCFACE[:, 1], 111 - ARCFACE[:, 0]])
    assert np.abs(align(turned, points).astype(int) - image).max() <= 1


def test_between_pixels_and_outside() -> None:
    image = np.full((112, 112, 3), 200, np.uint8)
    shifted = align(image, ARCFACE - np.array((0.5, 0)))
    assert (shifted[:, 0] == 100).all() and (shifted[:, 1:] == 200).all()
    assert not align(image, ARCFACE + np.array((500, 0))).any()


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.zeros((4, 2)), np.full((5, 2), np.nan)])
def test_points_without_a_size_are_refused(points: np.ndarray) -> None:
    with pytest.raises(DataError):
        align(np.zeros((112, 112, 3), np.uint8), points)

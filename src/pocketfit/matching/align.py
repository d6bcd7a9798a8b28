"""A face brought to where a model expects its eyes, nose and mouth."""

from __future__ import annotations

import numpy as np

from pocketfit.errors import DataError

__all__ = ["ARCFACE", "align", "similarity"]

SIDE = 112

# Left eye, right eye, tip of the nose, left and right corner of the mouth, as seen; x and y in 112 by 112 pixels.
# Source: Deng et al. 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition": `arcface_dst` in the
# file face_align.py that its authors publish, which most embeddings of faces were trained with.
ARCFACE = np.array([(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)])


def similarity(points: np.ndarray, onto: np.ndarray = ARCFACE) -> np.ndarray:
    """The rotation, scale and shift that bring points closest to others, by least squares; it never mirrors.

    In the plane a rotation with a scale is one complex number: the sum of conj(p) q over that of |p|², p and q being
    the points as seen from their means.

    Source: Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns", equations
    40 to 42.

    Args:
        points: n×2, x and y, at least two different ones.
        onto: n×2, where they shall lie.

    Returns:
        2×3: [x', y'] = M [x, y, 1].

    Raises:
        DataError: they are of another shape, not finite, or all the same.
    """
    if points.shape != onto.shape or not np.isfinite(points).all():
        raise DataError(f"The points are {points.shape}, or not finite; give {len(onto)} of x and y.")
    start, end, real, imaginary, spread = _sums(points, onto)
    if spread == 0:
        raise DataError("The points are all the same, so the face has no size. Check the detector's landmarks.")
    matrix = np.array([[real, -imaginary], [imaginary, real]]) / spread
    return np.column_stack([matrix, end - matrix @ start])


def align(image: np.ndarray, points: np.ndarray, onto: np.ndarray = ARCFACE, side: int = SIDE) -> np.ndarray:
    """Cut a face out of an upright picture, turned and scaled so that its points lie where the model expects them.

    Pixels are read between their four neighbours; what lies outside of the picture is black.

    Args:
        image: uint8 H×W×3.
        points: 5×2, x and y in it, in the order of `ARCFACE`; the middle of the first pixel is (0, 0).
        onto: where they shall lie.
        side: of the square that is cut out.

    Returns:
        uint8 side×side×3.

    Raises:
        DataError: the points have no size or are of another number.
    """
    similarity(points, onto)  # refuses what has none
    a, b, shift_x, shift_y = _back(points, onto)
    y, x = np.mgrid[:side, :side].astype(np.float64)
    from_x, from_y = a * x - b * y + shift_x, b * x + a * y + shift_y
    left, top = np.floor(from_x), np.floor(from_y)
    right_share, lower_share = (from_x - left)[..., None], (from_y - top)[..., None]
    corner = [[_pixels(image, left + dx, top + dy) for dx in (0, 1)] for dy in (0, 1)]
    rows = [near * (1 - right_share) + far * right_share for near, far in corner]
    blended = rows[0] * (1 - lower_share) + rows[1] * lower_share
    cut_out: np.ndarray = np.floor(blended + 0.5).astype(np.uint8)
    return cut_out


def _sums(points: np.ndarray, onto: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    """Both means, the sum of conj(p) q and that of |p|², each added up in the order of the points."""
    start, end = np.zeros(2), np.zeros(2)
    for point, goal in zip(points, onto, strict=True):
        start, end = start + point / len(points), end + goal / len(points)
    real = imaginary = spread = 0.0
    for point, goal in zip(points - start, onto - end, strict=True):
        (px, py), (qx, qy) = point.tolist(), goal.tolist()
        real += px * qx + py * qy
        imaginary += px * qy - py * qx
        spread += px * px + py * py
    return start, end, real, imaginary, spread


def _back(points: np.ndarray, onto: np.ndarray) -> tuple[float, float, float, float]:
    """The inverse of `similarity`: x = a x' - b y' + the third, y = b x' + a y' + the fourth."""
    start, end, real, imaginary, spread = _sums(points, onto)
    size = (real * real + imaginary * imaginary) / spread
    if size == 0:
        raise DataError("The points lie as no face does: nothing but a point is like them. Check the landmarks.")
    a, b = real / size, -imaginary / size
    return a, b, float(start[0] - (a * end[0] - b * end[1])), float(start[1] - (b * end[0] + a * end[1]))


def _pixels(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    rows, columns = (np.where(inside, place, 0).astype(np.int64) for place in (y, x))
    found: np.ndarray = np.where(inside[..., None], image[rows, columns].astype(np.float64), 0.0)
    return found

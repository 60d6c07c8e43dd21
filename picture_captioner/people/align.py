"""A face turned upright and cut out: eyes, nose and mouth lie where the network expects them.

The similarity transform that brings five landmarks to their places with the least squared error is
Umeyama's (1991, IEEE TPAMI 13:4). The places are ArcFace's, which SFace was trained with.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picture_captioner.people.faces import Vectors

Places = NDArray[np.float64]

CHIP = 112
"""Pixels a side."""
PLACES = np.array(
    [
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ],
    np.float64,
)


def aligned(photo: Image.Image, landmarks: Vectors) -> Image.Image:
    """The face with these landmarks, shape (5, 2), as a picture of 112 pixels a side."""
    matrix = similarity(PLACES, landmarks.astype(np.float64))  # from the chip to the photo
    if (shrunk := int(math.hypot(matrix[0, 0], matrix[1, 0]) / 2)) > 1:
        # Bilinear sampling looks at four pixels: what is skipped between them would flicker.
        left, upper, right, lower = _surroundings(matrix, photo.size, shrunk)
        photo = photo.reduce(shrunk, (left, upper, right, lower))
        matrix = matrix.copy()
        matrix[:, 2] = (matrix[:, 2] - (left, upper) + 0.5) / shrunk - 0.5
        matrix[:, :2] /= shrunk
    (a, b, c), (d, e, f) = matrix
    # Pillow counts from the corner of a pixel, landmarks from its middle.
    moved = (a, b, c + 0.5 - (a + b) / 2, d, e, f + 0.5 - (d + e) / 2)
    return photo.transform((CHIP, CHIP), Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR)


def similarity(points: Places, targets: Places) -> Places:
    """The 2 x 3 matrix of turning, scaling and moving that brings `points` nearest to `targets`."""
    middle, wanted = points.mean(axis=0), targets.mean(axis=0)
    from_middle, from_wanted = points - middle, targets - wanted
    u, spread, v = np.linalg.svd(from_wanted.T @ from_middle / len(points))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(v)) or 1.0])
    turned = u @ np.diag(sign) @ v
    scale = float(spread @ sign) / max(float((from_middle**2).sum()) / len(points), 1e-12)
    matrix: Places = np.hstack([scale * turned, (wanted - scale * turned @ middle)[:, None]])
    return matrix


def _surroundings(matrix: Places, size: tuple[int, int], step: int) -> tuple[int, int, int, int]:
    """The part of the photo that the chip covers, with a margin; its corner a multiple of step."""
    corners = np.array([(0, 0, 1), (CHIP, 0, 1), (0, CHIP, 1), (CHIP, CHIP, 1)]) @ matrix.T
    low, high = corners.min(axis=0) - 2 * step, corners.max(axis=0) + 2 * step
    left, upper = (max(0, int(value) // step * step) for value in low)
    right, lower = (
        max(start + step, min(most, math.ceil(value)))
        for start, most, value in zip((left, upper), size, high, strict=True)
    )
    return min(left, size[0] - 1), min(upper, size[1] - 1), min(right, size[0]), min(lower, size[1])

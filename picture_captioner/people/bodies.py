"""Which body each face belongs to."""

from __future__ import annotations

import math
from collections.abc import Sequence

from picture_captioner.people.faces import Box

UPPER = 0.5
"""Share of a body's height in which the middle of its face is, also where the photo cuts the body
off below the chest."""


def bodies_of(faces: Sequence[Box], bodies: Sequence[Box]) -> dict[int, int]:
    """Which body each face belongs to, by their places; a face or body alone is in no pair.

    The upper part of the body holds the middle of its face. Of several the one whose head would be
    there: the nearest to the middle of the body's upper edge, in shares of the body.
    """
    pairs = sorted(
        (far, f, b)
        for f, face in enumerate(faces)
        for b, body in enumerate(bodies)
        if (far := _from_the_head(face, body)) is not None
    )
    found: dict[int, int] = {}
    for _, face_at, body_at in pairs:
        if face_at not in found and body_at not in found.values():
            found[face_at] = body_at
    return found


def _from_the_head(face: Box, body: Box) -> float | None:
    """How far the face is from where the body's head is; None where it is not that body's."""
    if not (body.width > 0 and body.height > 0) or face.height > body.height:
        return None
    across = (face.x + face.width / 2 - body.x) / body.width
    down = (face.y + face.height / 2 - body.y) / body.height
    if not (0 <= across <= 1 and 0 <= down <= UPPER):
        return None
    above = (face.y - body.y) / body.height
    return math.hypot(across - 0.5, above)

"""Text in a picture, read on this machine: RapidOCR with the PP-OCR models of its wheel.

The models read Chinese, Japanese and scripts in Latin letters; nothing is sent or fetched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL.Image import Image
from PIL.Image import new as new_image

READER = "pp-ocrv6-small-1"
"""The models and how they are asked: another one reads all photos again."""

EDGE = 1600
"""Pixels of the longer side. Capitals of 13 pixels are read, of 10 about half (docs/library.md)."""

LEAST_CONFIDENCE = 0.6
"""Below it are mostly leaves and fences that look like letters."""

_THREADS = 2

_MOST_EXTREME = 4
"""Longer than so many times its breadth, a picture is padded. The models enlarge the shorter side
to 736 pixels: a banner of 20,000 by 10 took 20 GB of memory."""


class TextLine(NamedTuple):
    """A line that was read; its four corners are shares of the upright picture's sides."""

    text: str
    confidence: float
    corners: tuple[tuple[float, float], ...]


class TextReader:
    """The models, loaded; for one thread."""

    def __init__(self) -> None:
        """Load the models.

        Raises:
            ModuleNotFoundError: the extra `ocr` is not installed.
        """
        from rapidocr import RapidOCR

        self._engine = RapidOCR(
            params={
                "Global.log_level": "critical",
                "EngineConfig.onnxruntime.intra_op_num_threads": _THREADS,
            }
        )

    def read(self, image: Image) -> list[TextLine]:
        """The lines of an RGB picture, from top to bottom; none where nothing is written."""
        pixels = np.ascontiguousarray(np.asarray(_padded(image))[:, :, ::-1])
        found: Any = self._engine(pixels)  # its type is that of any of its steps
        if found.boxes is None or found.txts is None:
            return []
        return list(_lines(image.size, found.boxes, found.txts, found.scores))


def _padded(image: Image) -> Image:
    """The picture at the top left of a wider or higher one, in the colour of its corner."""
    least = math.ceil(max(image.size) / _MOST_EXTREME)
    size = (max(image.width, least), max(image.height, least))
    if size == image.size:
        return image
    padded = new_image(image.mode, size, image.getpixel((0, 0)))
    padded.paste(image)
    return padded


def _lines(
    size: tuple[int, int],
    boxes: Iterable[Iterable[tuple[float, float]]],
    texts: Iterable[str],
    scores: Iterable[float],
) -> Iterator[TextLine]:
    for box, text, score in zip(boxes, texts, scores, strict=True):
        if text.strip() and score >= LEAST_CONFIDENCE:
            corners = tuple(
                (round(min(float(x) / size[0], 1), 4), round(min(float(y) / size[1], 1), 4))
                for x, y in box
            )
            yield TextLine(text.strip(), round(float(score), 3), corners)

"""YuNet finds faces: 0.3 MB, made for CPUs (Wu, Peng & Yu 2023, Machine Intelligence Research).

The graph gives, for each cell of three grids (8, 16 and 32 pixels wide), how sure it is, a box and
five landmarks; what they mean is read as OpenCV's FaceDetectorYN reads it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from picture_captioner.people.faces import Box, Face, Vectors
from picture_captioner.people.unpacking import runnable
from picture_captioner.workers.onnx_graph import OnnxGraph

STRIDES = (8, 16, 32)
SCORE = 0.6
"""All 89 hand-drawn faces of 27 photos are found at 0.6, with 5 to 8 too many; at 0.8 none more."""
OVERLAP = 0.3
"""Of two boxes that share more than this, the surer one is the face (OpenCV's own default)."""
MOST_FACES = 1000


class YuNet:
    """The detector. A graph of a fixed size is shown the photo within that size."""

    edge = 1024

    def __init__(
        self,
        path: Path,
        device: str = "cpu",
        score: float = SCORE,
        threads: int = 0,
        name: str = "yunet",
    ) -> None:
        self._graph = OnnxGraph(path, device, threads=threads, data=runnable(path))
        [(self._input, shape)] = self._graph.inputs.items()
        self._fixed = tuple(shape[2:]) if all(isinstance(n, int) for n in shape[2:]) else None
        self._outputs = [f"{kind}_{s}" for kind in ("cls", "obj", "bbox", "kps") for s in STRIDES]
        self._score = score
        self.version = f"{name}:{score:g}"

    def __call__(self, photo: Image.Image) -> list[Face]:
        """The faces of an upright RGB photo, the surest first, in its own pixels."""
        shown, factor = self._fitted(photo)
        # BGR, 0 to 255, as OpenCV hands it to the graph.
        pixels = np.asarray(shown, np.float32)[:, :, ::-1].transpose(2, 0, 1)[None]
        outputs = self._graph.run({self._input: np.ascontiguousarray(pixels)}, self._outputs)
        named = dict(zip(self._outputs, (array[0] for array in outputs), strict=True))
        boxes, scores, landmarks = _decoded(named, shown.width, shown.height, self._score)
        kept = _without_overlaps(boxes, scores)[:MOST_FACES]
        inside = (
            i for i in kept if _is_inside(boxes[i], photo.width / factor, photo.height / factor)
        )
        faces = (
            Face(Box(*map(float, boxes[i])), float(scores[i]), landmarks[i].reshape(5, 2))
            for i in inside
        )
        return [face.scaled(factor) for face in faces]

    def _fitted(self, photo: Image.Image) -> tuple[Image.Image, float]:
        """The photo on black, of a size that the graph takes, and how much it was shrunk."""
        high, wide = self._fixed or (self.edge, self.edge)
        factor = max(photo.width / wide, photo.height / high, 1.0 if self._fixed is None else 0.0)
        size = (max(1, round(photo.width / factor)), max(1, round(photo.height / factor)))
        shown = (
            photo.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
            if factor != 1
            else photo
        )
        ground = (wide, high) if self._fixed else (_up(size[0]), _up(size[1]))
        if ground != shown.size:
            padded = Image.new("RGB", ground)
            padded.paste(shown)
            shown = padded
        return shown, factor


def _up(length: int) -> int:
    """The next multiple of the widest cell."""
    return -(-length // STRIDES[-1]) * STRIDES[-1]


def _decoded(
    named: dict[str, Vectors], width: int, height: int, least: float
) -> tuple[Vectors, Vectors, Vectors]:
    """Boxes (n, 4) as x, y, width, height, scores (n,) and landmarks (n, 10) of all cells."""
    found: list[tuple[Vectors, Vectors, Vectors]] = []
    for stride in STRIDES:
        rows, columns = np.divmod(
            np.arange((height // stride) * (width // stride)), width // stride
        )
        sure = np.clip(named[f"cls_{stride}"][:, 0], 0, 1) * np.clip(
            named[f"obj_{stride}"][:, 0], 0, 1
        )
        scores = np.sqrt(sure)
        hits = np.flatnonzero(scores >= least)
        cells = np.stack([columns[hits], rows[hits]], axis=1).astype(np.float32)
        box, points = named[f"bbox_{stride}"][hits], named[f"kps_{stride}"][hits]
        centre = (cells + box[:, :2]) * stride
        size = np.exp(box[:, 2:]) * stride
        marks = (points.reshape(-1, 5, 2) + cells[:, None]) * stride
        found.append((np.hstack([centre - size / 2, size]), scores[hits], marks.reshape(-1, 10)))
    boxes, scores, landmarks = (np.concatenate(part) for part in zip(*found, strict=True))
    return boxes, scores, landmarks


def _without_overlaps(boxes: Vectors, scores: Vectors) -> list[int]:
    """Greedy non-maximum suppression: indices of the boxes that stay, the surest first."""
    left, upper = boxes[:, 0], boxes[:, 1]
    right, lower = left + boxes[:, 2], upper + boxes[:, 3]
    areas = boxes[:, 2] * boxes[:, 3]
    order, kept = np.argsort(-scores, kind="stable"), []
    while order.size:
        first, rest = order[0], order[1:]
        kept.append(int(first))
        wide = np.minimum(right[first], right[rest]) - np.maximum(left[first], left[rest])
        high = np.minimum(lower[first], lower[rest]) - np.maximum(upper[first], upper[rest])
        shared = np.clip(wide, 0, None) * np.clip(high, 0, None)
        order = rest[shared <= OVERLAP * (areas[first] + areas[rest] - shared)]
    return kept


def _is_inside(box: Vectors, width: float, height: float) -> bool:
    """Whether the middle of the box is in the picture, and not on the ground around it."""
    x, y = float(box[0] + box[2] / 2), float(box[1] + box[3] / 2)
    return 0 <= x < width and 0 <= y < height

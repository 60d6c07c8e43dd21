"""SFace turns a face into 128 numbers; two faces of one person have a cosine above 0.363.

Zhong et al. 2021, "SFace: Sigmoid-Constrained Hypersphere Loss", IEEE TIP; the limit is OpenCV's.

What it was trained on is not disclosed (docs/people.md).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from picture_captioner.people.align import aligned
from picture_captioner.people.faces import Face, Vectors
from picture_captioner.people.unpacking import runnable
from picture_captioner.workers.onnx_graph import OnnxGraph


class SFace:
    """The recogniser. The published graph takes one face at a time."""

    dimension = 128

    def __init__(self, path: Path, device: str = "cpu", threads: int = 0) -> None:
        self._graph = OnnxGraph(path, device, threads=threads, data=runnable(path))
        self._input = next(iter(self._graph.inputs))
        [self._output] = self._graph.outputs
        self.version = "sface-2021dec:five-points"

    def __call__(self, photo: Image.Image, faces: list[Face]) -> Vectors:
        """One vector of unit length for each face, shape (n, 128)."""
        vectors = np.zeros((len(faces), self.dimension), np.float32)
        for row, face in enumerate(faces):
            chip = np.asarray(aligned(photo, face.landmarks), np.float32)
            # RGB, 0 to 255, as OpenCV hands it to the graph.
            feed = {self._input: np.ascontiguousarray(chip.transpose(2, 0, 1)[None])}
            [[vectors[row]]] = self._graph.run(feed, [self._output])
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = vectors / np.maximum(lengths, np.float32(1e-12))
        return unit

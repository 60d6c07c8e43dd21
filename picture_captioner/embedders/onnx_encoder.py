"""One ONNX graph that turns a batch into vectors."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picture_captioner.errors import ConfigurationError
from picture_captioner.workers.onnx_graph import SECONDS_EACH, OnnxGraph

log = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]

VECTOR_OUTPUTS = ("image_embeds", "text_embeds", "pooler_output", "sentence_embedding", "embedding")
"""Outputs that hold the vector where a graph has several, the best first."""


class OnnxEncoder:
    """A loaded graph. `inputs` are the names that it wants to be fed."""

    def __init__(self, path: Path, device: str, seconds_each: float = SECONDS_EACH) -> None:
        """Load the graph.

        Raises:
            UsageError: there is no such device in this ONNX Runtime.
            ConfigurationError: the file is no graph that ONNX Runtime can load, or has no vector.
        """
        self._graph = OnnxGraph(path, device, seconds_each)
        self.inputs = list(self._graph.inputs)
        self._output = self._pick_output()

    @property
    def fixed_batch(self) -> int | None:
        """How many rows the graph takes at a time, if it does not leave that open."""
        rows = next(iter(self._graph.inputs.values()))[0]
        return rows if isinstance(rows, int) else None

    def __call__(self, feed: Arrays) -> NDArray[np.float32]:
        """Vectors of a batch, shape (n, dim), not yet of unit length.

        Raises:
            BackendUnavailableError: the graph failed, or took over `seconds_each` for each row.
        """
        rows = len(next(iter(feed.values())))
        begun = time.perf_counter()
        filled = {name: self._filled(feed[name]) for name in self.inputs}
        vectors: NDArray[np.float32]
        (vectors,) = self._graph.run(filled, [self._output], rows)
        log.debug("%s: %d in %.0f ms", self._graph.name, rows, (time.perf_counter() - begun) * 1000)
        return vectors[:rows]

    def _filled(self, array: NDArray[Any]) -> NDArray[Any]:
        """Repeat the last row up to a fixed batch."""
        missing = (self.fixed_batch or len(array)) - len(array)
        return np.concatenate([array, *[array[-1:]] * missing]) if missing > 0 else array

    def _pick_output(self) -> str:
        outputs: Mapping[str, list[Any]] = self._graph.outputs
        for name in VECTOR_OUTPUTS:
            if name in outputs:
                return name
        flat = [name for name, shape in outputs.items() if len(shape) == 2]
        if len(flat) != 1:
            raise ConfigurationError(
                f"{self._graph.name} has no output that is one vector for each photo (it has "
                f"{', '.join(outputs)}): export it with pooling"
            )
        return flat[0]

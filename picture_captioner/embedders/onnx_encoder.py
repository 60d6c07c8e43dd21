"""One ONNX graph that turns a batch into vectors, and images into what it was trained on.

What that is stands in its preprocessor_config.json.
The order is that of transformers' image processors: resize, crop, rescale, normalise.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling
from pydantic import BaseModel, Field, ValidationError, model_validator

from picture_captioner.errors import ConfigurationError
from picture_captioner.foreign_text import faults_of
from picture_captioner.workers.onnx_graph import SECONDS_EACH, OnnxGraph

if TYPE_CHECKING:
    from PIL.Image import Image

Edge = Annotated[int, Field(ge=1, le=4096)]
Channels = tuple[float, float, float]


class Size(BaseModel):
    """Either both sides, or the shorter one."""

    height: Edge | None = None
    width: Edge | None = None
    shortest_edge: Edge | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"shortest_edge": value} if isinstance(value, int) else value

    @model_validator(mode="after")
    def _says_something(self) -> Size:
        if self.shortest_edge is None and None in (self.height, self.width):
            raise ValueError("a size needs height and width, or shortest_edge")
        return self


class Preprocessing(BaseModel):
    """The fields of preprocessor_config.json that change numbers; unknown ones are passed over."""

    do_resize: bool = True
    size: Size
    resample: Annotated[int, Field(ge=0, le=5)] = int(Resampling.BICUBIC)
    do_center_crop: bool = False
    crop_size: Size | None = None
    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    do_normalize: bool = True
    image_mean: Channels = (0.5, 0.5, 0.5)
    image_std: Channels = (0.5, 0.5, 0.5)

    @classmethod
    def read(cls, path: Path) -> Preprocessing:
        """Read the file.

        Raises:
            ConfigurationError: it is missing, no JSON, or says nothing usable.
        """
        try:
            return cls.model_validate(json.loads(path.read_text("utf-8")))
        except ValidationError as error:
            where, fault = faults_of(error)[0]
            raise ConfigurationError(f"{path.name}: {where or 'the file'}: {fault}") from error
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path.name} cannot be read: fetch it again") from error

    def __call__(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Numbers of RGB images, shape (n, 3, height, width)."""
        pixels = np.stack([self._sized(image) for image in images]).astype(np.float32)
        if self.do_rescale:
            pixels *= np.float32(self.rescale_factor)
        if self.do_normalize:
            pixels -= np.array(self.image_mean, np.float32)
            pixels /= np.array(self.image_std, np.float32)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))

    def _sized(self, image: Image) -> NDArray[np.uint8]:
        image = image.convert("RGB")
        if self.do_resize:
            image = image.resize(self._target(image.size), Resampling(self.resample))
        return np.asarray(self._cropped(image))

    def _target(self, size: tuple[int, int]) -> tuple[int, int]:
        if self.size.width is not None and self.size.height is not None:
            return self.size.width, self.size.height
        width, height = size
        short = self.size.shortest_edge or min(size)
        if width <= height:
            return short, int(short * height / width)
        return int(short * width / height), short

    def _cropped(self, image: Image) -> Image:
        if not self.do_center_crop or self.crop_size is None:
            return image
        width = self.crop_size.width or self.crop_size.shortest_edge or image.width
        height = self.crop_size.height or self.crop_size.shortest_edge or image.height
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))  # black beyond the edge


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

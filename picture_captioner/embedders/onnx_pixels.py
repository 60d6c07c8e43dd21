"""From images to the numbers that an encoder was trained on, as its preprocessor_config.json says.

The order is that of transformers' image processors: resize, crop, rescale, normalise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling
from pydantic import BaseModel, Field, ValidationError, model_validator

from picture_captioner.errors import ConfigurationError, faults_of

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

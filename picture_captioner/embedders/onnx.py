"""An image encoder in a folder, run by ONNX Runtime: no torch, and any model that was exported.

The folder holds a graph and preprocessor_config.json, as exports on the hub do; a text tower with
its tokenizer beside it makes the photos searchable by text. A `manifest.json` in the folder says
where files that are not there yet may be downloaded from (`hub/files.py`).
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from picture_captioner.embedders.base import Embedder, TextScale
from picture_captioner.embedders.models import ModelFiles, digest
from picture_captioner.embedders.onnx_encoder import OnnxEncoder, Preprocessing
from picture_captioner.embedders.tokenizing import encodable, read_tokenizer
from picture_captioner.embedders.vectors import batches, stacked, unit_rows
from picture_captioner.errors import ConfigurationError
from picture_captioner.hub.files import MANIFEST, download_manifest

if TYPE_CHECKING:
    from PIL.Image import Image
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

IMAGE_GRAPHS = ("vision_model.onnx", "onnx/vision_model.onnx", "model.onnx", "onnx/model.onnx")
TEXT_GRAPHS = ("text_model.onnx", "onnx/text_model.onnx")
WITH_GRAPH = ("", "_data", ".data")
"""Endings of a graph's file and of those with its weights."""
JSON_FILES = ("preprocessor_config.json", "config.json", "tokenizer.json")

SIGLIP_LENGTH = 64
"""Tokens: SigLIP's text tower saw nothing but texts padded to this length."""
CLIP_LENGTH = 77


class OnnxEmbedder(Embedder):
    """What photos show, as the encoder in the folder sees it."""

    name = "onnx"
    default_batch_size = 16
    embeds_images = True

    @property
    def embeds_texts(self) -> bool:  # type: ignore[override]
        """Whether the folder has a text tower too."""
        return self._text_graph is not None

    @property
    def identity(self) -> str:
        """`onnx:folder@0123456789ab`, the digits over the content of its files."""
        return f"{self.name}:{self._files.label}"

    def check(self) -> None:
        """Load the graphs, and run each once: the first run of a graph may take seconds."""
        begun = time.perf_counter()
        self.embed_images([PillowImage.new("RGB", (64, 64))])
        if self.embeds_texts and self.embed_texts([""]).shape[1] != self._dimension:
            raise ConfigurationError(
                f"the image and text towers in {self._folder.name} give vectors of different "
                "length: they are not of one model"
            )
        log.debug("onnx warm-up: %.0f ms", (time.perf_counter() - begun) * 1000)

    def embed_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Vectors of RGB images, shape (n, dim)."""
        encoder = self._image_encoder
        size = encoder.fixed_batch or self.batch_size
        return stacked(
            [self._image_batch(batch) for batch in batches(images, size)], self._dimension
        )

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, shape (n, dim), in the space of the images."""
        if self._text_graph is None:
            return super().embed_texts(texts)
        size = self._text_encoder.fixed_batch or self.batch_size
        parts = [self._text_batch(batch) for batch in batches(encodable(texts), size)]
        return stacked(parts, self._dimension)

    @property
    def text_scale(self) -> TextScale:
        """By `logit_scale` (a logarithm) and `logit_bias` in config.json, as checkpoints have them.

        Exports of the towers leave them out. Every CLIP ends its training at 100, the most it may.
        """
        scale, bias = self._config.get("logit_scale"), self._config.get("logit_bias")
        if not self._is_siglip:
            return TextScale("softmax", math.exp(scale) if _is_number(scale) else 100.0)
        if not (_is_number(scale) and _is_number(bias)):
            raise ConfigurationError(
                f"config.json of {self._folder.name} lacks the numbers logit_scale and logit_bias, "
                "which an export of SigLIP's towers leaves out: copy them from the checkpoint "
                "(docs/tags.md)"
            )
        return TextScale("sigmoid", math.exp(scale), bias)

    def close(self) -> None:
        """Give the graphs' memory back; the next call loads them again."""
        self.__dict__.pop("_image_encoder", None)
        self.__dict__.pop("_text_encoder", None)

    def _image_batch(self, images: Sequence[Image]) -> NDArray[np.float32]:
        begun = time.perf_counter()
        pixels = self._preprocessing(images)
        log.debug("preprocessing: %d in %.0f ms", len(images), (time.perf_counter() - begun) * 1000)
        return unit_rows(self._image_encoder({self._image_encoder.inputs[0]: pixels}))

    def _text_batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        lower = self._is_siglip
        encoded = self._tokenizer.encode_batch([t.lower() if lower else t for t in texts])
        feed = {
            "input_ids": np.array([row.ids for row in encoded], np.int64),
            "attention_mask": np.array([row.attention_mask for row in encoded], np.int64),
        }
        return unit_rows(self._text_encoder(feed))

    @cached_property
    def _folder(self) -> Path:
        if not self.model:
            raise ConfigurationError(
                "the onnx embedder needs the folder of an image encoder (docs/embedders.md)"
            )
        folder = Path(self.model).expanduser()
        if self.settings.allow_download and (folder / MANIFEST).is_file():
            download_manifest(folder / MANIFEST, folder, self.settings.progress)
        if not folder.is_dir():
            raise ConfigurationError(f"there is no model folder {self.model}")
        return folder

    @cached_property
    def _files(self) -> ModelFiles:
        graphs = [self._graph(IMAGE_GRAPHS), self._graph(TEXT_GRAPHS)]
        names = [graph.relative_to(self._folder).as_posix() for graph in graphs if graph]
        parts = [*(name + end for name in names for end in WITH_GRAPH), *JSON_FILES]
        label = f"{self._folder.resolve().name}@{digest(self._folder, parts)}"
        return ModelFiles(self._folder, label)

    @cached_property
    def _preprocessing(self) -> Preprocessing:
        return Preprocessing.read(self._files.folder / "preprocessor_config.json")

    @cached_property
    def _image_encoder(self) -> OnnxEncoder:
        graph = self._graph(IMAGE_GRAPHS)
        if graph is None:
            raise ConfigurationError(
                f"the folder {self._folder.name} has no image encoder: "
                f"one of {', '.join(IMAGE_GRAPHS)}"
            )
        encoder = OnnxEncoder(graph, self.settings.device)
        if len(encoder.inputs) != 1:
            raise ConfigurationError(
                f"{graph.name} wants {', '.join(encoder.inputs)}, and an image encoder takes "
                "pixels only: export the image tower by itself"
            )
        return encoder

    @cached_property
    def _dimension(self) -> int:
        blank = PillowImage.new("RGB", (64, 64))
        return int(self._image_batch([blank]).shape[1])

    @cached_property
    def _text_graph(self) -> Path | None:
        return self._graph(TEXT_GRAPHS) if self.model else None

    @cached_property
    def _text_encoder(self) -> OnnxEncoder:
        graph = self._text_graph
        assert graph is not None  # noqa: S101 - embed_texts asked first
        encoder = OnnxEncoder(graph, self.settings.device)
        if not set(encoder.inputs) <= {"input_ids", "attention_mask"}:
            raise ConfigurationError(
                f"{graph.name} wants {', '.join(encoder.inputs)}, and a text tower takes "
                "input_ids and attention_mask only"
            )
        return encoder

    @cached_property
    def _is_siglip(self) -> bool:
        return "siglip" in str(self._config.get("model_type", ""))

    @cached_property
    def _config(self) -> dict[str, Any]:
        try:
            found = json.loads((self._files.folder / "config.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"config.json of {self._folder.name} cannot be read; the text tower needs it"
            ) from error
        return found if isinstance(found, dict) else {}

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = read_tokenizer(self._files.folder)
        length = SIGLIP_LENGTH if self._is_siglip else CLIP_LENGTH
        tokenizer.enable_truncation(length)
        pad = next(
            (p for p in ("<pad>", "<|endoftext|>") if tokenizer.token_to_id(p) is not None), ""
        )
        tokenizer.enable_padding(
            pad_id=tokenizer.token_to_id(pad) or 0,
            pad_token=pad,
            length=length if self._is_siglip else None,
        )
        return tokenizer

    def _graph(self, names: Sequence[str]) -> Path | None:
        found = (self._folder / name for name in names)
        return next((path for path in found if path.is_file()), None)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value) and abs(value) < 100

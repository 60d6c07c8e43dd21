"""Models with an image and a text tower that share one space, run by transformers.

Files come from this machine and hold no code (`models.py`); weights are float16 on a CUDA GPU,
where they take half the memory, and float32 elsewhere, where float16 is slow.
"""

from __future__ import annotations

import gc
import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from picture_captioner.embedders.base import Embedder, TextScale
from picture_captioner.embedders.models import TOWERS_NEED, ModelFiles, find_model
from picture_captioner.embedders.tokenizing import encodable
from picture_captioner.embedders.vectors import batches, stacked, unit_rows
from picture_captioner.errors import BackendUnavailableError, ConfigurationError, UsageError
from picture_captioner.workers.device_errors import (
    DeviceFailure,
    cap_memory,
    failure_of,
    first_line,
    why_no_cuda,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

log = logging.getLogger(__name__)

UNLOADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)
"""What transformers raises on files that are cut short, of another model, or no model at all."""


class TwoTowers(Embedder):
    """An embedder of images and texts; a subclass names its models and tokenizes texts."""

    embeds_images = True
    embeds_texts = True
    model_types: ClassVar[tuple[str, ...]]
    """Values of `model_type` in config.json that this embedder can run."""

    @property
    def identity(self) -> str:
        """`siglip2:google/siglip2-base-patch16-224@0123456789ab`."""
        return f"{self.name}:{self._files.label}"

    def check(self) -> None:
        """Load the model."""
        _ = self._model

    @abstractmethod
    def tokenize(self, texts: list[str]) -> Mapping[str, torch.Tensor]:
        """Token ids as the text tower was trained on."""

    def embed_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Vectors of RGB images, shape (n, dim)."""
        return self._in_batches(self._image_features, images)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, shape (n, dim), in the space of the images."""
        return self._in_batches(self._text_features, encodable(texts))

    @property
    def text_scale(self) -> TextScale:
        """The scale, and SigLIP's bias, that the model was trained with."""
        bias = getattr(self._model, "logit_bias", None)
        scale = float(self._model.logit_scale.detach().float().exp())
        if bias is None:
            return TextScale("softmax", scale)
        return TextScale("sigmoid", scale, float(bias.detach()))

    def close(self) -> None:
        """Give the model's memory back; the next call loads it again."""
        self.__dict__.pop("_model", None)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _in_batches(
        self, features: Callable[[Sequence[Any]], torch.Tensor], items: Sequence[Any]
    ) -> NDArray[np.float32]:
        parts = [self._vectors(features, batch) for batch in batches(items, self.batch_size)]
        return stacked(parts, self._dimension)

    def _vectors(
        self, features: Callable[[Sequence[Any]], torch.Tensor], batch: Sequence[Any]
    ) -> NDArray[np.float32]:
        """Vectors of a batch, in halves where the GPU's memory does not hold it whole."""
        try:
            with torch.inference_mode():
                return unit_rows(features(batch).float().cpu().numpy())
        except (RuntimeError, MemoryError) as error:
            if failure_of(error) not in {DeviceFailure.OUT_OF_MEMORY, DeviceFailure.PERHAPS_MEMORY}:
                raise
            if len(batch) == 1:
                raise BackendUnavailableError(
                    f"the {self.name} embedder finds no room on {self._device} for one photo: "
                    "stop other programs that use the GPU, or choose the device cpu"
                ) from error
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self.batch_size = max(1, len(batch) // 2)
        self.settings.notice(f"{self.name}: out of memory, going on with {self.batch_size} at once")
        halves = batches(batch, self.batch_size)
        return np.concatenate([self._vectors(features, half) for half in halves])

    def _image_features(self, images: Sequence[Image]) -> torch.Tensor:
        inputs = self._image_processor(images=list(images), return_tensors="pt")
        inputs = {
            name: tensor.to(self._device, self._dtype if tensor.is_floating_point() else None)
            for name, tensor in inputs.items()
        }
        features: torch.Tensor = self._model.get_image_features(**inputs).pooler_output
        return features

    def _text_features(self, texts: Sequence[str]) -> torch.Tensor:
        inputs = {name: t.to(self._device) for name, t in self.tokenize(list(texts)).items()}
        features: torch.Tensor = self._model.get_text_features(**inputs).pooler_output
        return features

    @cached_property
    def _files(self) -> ModelFiles:
        return find_model(self.model, TOWERS_NEED, self.settings)

    @cached_property
    def _device(self) -> torch.device:
        return pick_device(self.settings.device, self.settings.notice)

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float16 if self._device.type == "cuda" else torch.float32

    @cached_property
    def _config(self) -> Any:
        config = self._loaded(AutoConfig)
        if config.model_type not in self.model_types:
            raise UsageError(
                f"the model {self.model} is of type {config.model_type!r}; the {self.name} "
                f"embedder runs {' and '.join(self.model_types)}"
            )
        return config

    @property
    def _dimension(self) -> int:
        projected = getattr(self._config, "projection_dim", None)
        return int(projected or self._config.vision_config.hidden_size)

    @cached_property
    def _image_processor(self) -> Any:
        # The same Pillow resize everywhere: torchvision's differs in the last bits.
        return self._loaded(AutoImageProcessor, backend="pil")

    @cached_property
    def _tokenizer(self) -> Any:
        return self._loaded(AutoTokenizer)

    @cached_property
    def _model(self) -> Any:
        _ = self._config, self._image_processor, self._tokenizer
        device = self._device
        options = {"dtype": self._dtype, "use_safetensors": True, "output_loading_info": True}
        model, info = self._loaded(AutoModel, **options)
        if info["missing_keys"] or info["mismatched_keys"]:
            raise ConfigurationError(
                f"the weights of {self.model} do not fit its config.json: "
                f"{len(info['missing_keys'])} are missing, {len(info['mismatched_keys'])} are of "
                "another shape; fetch the whole model again (docs/embedders.md)"
            )
        log.debug("%s runs on %s in %s", self.identity, device, self._dtype)
        return self._on_device(model).eval()

    def _on_device(self, model: Any) -> Any:
        """The model on its device.

        Raises:
            BackendUnavailableError: there is no room, or the device is not well.
        """
        try:
            if self._device.type == "cuda":
                cap_memory(torch.cuda.mem_get_info()[0])
            return model.to(self._device)
        except (RuntimeError, MemoryError) as error:
            if failure_of(error) is None:
                raise
            raise BackendUnavailableError(
                f"the {self.name} embedder does not get onto {self._device} ({first_line(error)}): "
                "stop other programs that use the GPU (nvidia-smi lists them), or choose the "
                "device cpu"
            ) from error

    def _loaded(self, kind: Any, **options: Any) -> Any:
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        try:
            return kind.from_pretrained(
                self._files.folder, local_files_only=True, trust_remote_code=False, **options
            )
        except UNLOADABLE as error:
            raise ConfigurationError(
                f"the model {self.model} cannot be loaded ({type(error).__name__}): fetch it "
                "again (docs/embedders.md)"
            ) from error


def pick_device(wanted: str, notice: Callable[[str], None]) -> torch.device:
    """`auto` takes CUDA, then Apple's MPS, then the CPU; that a card does not start is told.

    Raises:
        UsageError: there is no such device here.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if (reason := why_no_cuda()) is not None:
            notice(
                f"there is an NVIDIA card, and CUDA does not start: {reason}; photos are looked at "
                "on the CPU, which is slow (docs/self_hosted_models.md)"
            )
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"there is no device {wanted!r} here; `auto` takes what there is"
        ) from error
    return device

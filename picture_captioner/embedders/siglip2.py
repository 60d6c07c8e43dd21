"""SigLIP 2: images and texts in one space (Tschannen et al. 2025, arXiv 2502.14786)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from picture_captioner.embedders.models import SIGLIP2
from picture_captioner.embedders.towers import TwoTowers

if TYPE_CHECKING:
    import torch

TEXT_LENGTH = 64
"""Tokens: the text tower saw nothing but texts padded to this length, without a mask."""


class Siglip2Embedder(TwoTowers):
    """What photos show; a text finds the photos that it describes, in many languages."""

    name = "siglip2"
    default_model = SIGLIP2
    model_types = ("siglip", "siglip2")

    def tokenize(self, texts: list[str]) -> Mapping[str, torch.Tensor]:
        """Ids of the lower-cased texts, padded to 64 tokens."""
        length = min(TEXT_LENGTH, self._config.text_config.max_position_embeddings)
        ids: torch.Tensor = self._tokenizer(
            [text.lower() for text in texts],
            padding="max_length",
            max_length=length,
            truncation=True,
            return_tensors="pt",
        )["input_ids"]
        return {"input_ids": ids}

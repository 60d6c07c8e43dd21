"""CLIP: images and texts in one space (Radford et al. 2021, arXiv 2103.00020).

The default is LAION's ViT-B/32, because the hub has safetensors of it; OpenAI's own B/32 was
published as a pickle only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from picture_captioner.embedders.models import CLIP
from picture_captioner.embedders.towers import TwoTowers

if TYPE_CHECKING:
    import torch


class ClipEmbedder(TwoTowers):
    """What photos show; a text finds the photos that it describes, in English."""

    name = "clip"
    default_model = CLIP
    model_types = ("clip",)

    def tokenize(self, texts: list[str]) -> Mapping[str, torch.Tensor]:
        """Ids and mask, padded to the longest text of the batch and cut at 77 tokens."""
        length = self._config.text_config.max_position_embeddings
        tokens: Mapping[str, torch.Tensor] = self._tokenizer(
            texts, padding=True, max_length=length, truncation=True, return_tensors="pt"
        )
        return {name: tokens[name] for name in ("input_ids", "attention_mask")}

"""What captions say, as vectors: all-MiniLM-L6-v2, a sentence encoder small enough for any CPU.

Needs no photos: a journal alone can be clustered. The model is Reimers & Gurevych's
sentence-transformers/all-MiniLM-L6-v2 (arXiv 1908.10084): BERT, the mean over the tokens, length 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from picture_captioner.embedders.base import Embedder
from picture_captioner.embedders.bert import Bert, Floats
from picture_captioner.embedders.minilm import find_caption_model
from picture_captioner.embedders.models import MINILM, ModelFiles
from picture_captioner.embedders.tokenizing import encodable, read_tokenizer
from picture_captioner.embedders.vectors import batches, stacked, unit_rows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENS = 256
"""As in the model's sentence_bert_config.json; longer captions are cut there."""


class CaptionEmbedder(Embedder):
    """What the captions say; English is what it knows best."""

    name = "caption"
    goes_by = "what the captions say"
    default_model = MINILM
    default_batch_size = 64
    embeds_texts = True

    @property
    def identity(self) -> str:
        """`caption:sentence-transformers/all-MiniLM-L6-v2@0123456789ab`."""
        return f"{self.name}:{self._files.label}"

    def check(self) -> None:
        """Load the model."""
        _ = self._bert, self._tokenizer

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of captions, shape (n, 384); an empty one is as good as any other."""
        rows = [encoded.ids for encoded in self._tokenizer.encode_batch(encodable(texts))]
        # Texts of like length share a batch: padding costs as much as words do.
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        parts = [self._means([rows[i] for i in batch]) for batch in batches(order, self.batch_size)]
        found = stacked(parts, self._bert.config.hidden_size)
        vectors = np.empty_like(found)
        vectors[order] = found
        return vectors

    def close(self) -> None:
        """Give the model's 90 MB back; the next call loads it again."""
        self.__dict__.pop("_bert", None)

    def _means(self, rows: Sequence[Sequence[int]]) -> Floats:
        states, mask = self._bert(rows)
        sums = np.einsum("nld,nl->nd", states, mask.astype(np.float32))
        return unit_rows(sums / mask.sum(axis=1, keepdims=True))

    @cached_property
    def _files(self) -> ModelFiles:
        return find_caption_model(self.model, self.settings)

    @cached_property
    def _bert(self) -> Bert:
        return Bert(self._files.folder)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = read_tokenizer(self._files.folder)
        tokenizer.enable_truncation(min(MAX_TOKENS, self._bert.config.max_position_embeddings))
        return tokenizer

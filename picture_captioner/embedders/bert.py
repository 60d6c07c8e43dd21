"""A BERT encoder on numpy: six layers do not need torch, which is 5.7 GB with CUDA.

After Devlin et al. 2019 (arXiv 1810.04805), as in transformers' `BertModel`, with which the tests
compare it. Dropout is absent, as always outside training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from scipy.special import erf

from picture_captioner.errors import ConfigurationError

Floats = NDArray[np.float32]

SQRT_HALF = np.float32(0.5**0.5)
MASKED = np.float32(-1e9)
"""Added to the attention of padding: its softmax is 0 then."""


@dataclass(frozen=True)
class BertConfig:
    """The numbers in config.json that the forward pass depends on."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    layer_norm_eps: float


class Bert:
    """The encoder: token ids in, one vector for each token out."""

    def __init__(self, folder: Path) -> None:
        """Load config.json and model.safetensors.

        Raises:
            ConfigurationError: they are broken or hold another kind of model.
        """
        self.config = _read_config(folder / "config.json")
        try:
            weights = load_file(folder / "model.safetensors")
        except (OSError, SafetensorError, TypeError, KeyError) as error:
            raise ConfigurationError(
                f"model.safetensors of {folder.name} cannot be read: fetch it again"
            ) from error
        self._weights: dict[str, Floats] = {
            name.removeprefix("bert."): array.astype(np.float32, copy=False)
            for name, array in weights.items()
        }
        self._check_weights(folder.name)

    def __call__(self, rows: Sequence[Sequence[int]]) -> tuple[Floats, NDArray[np.bool_]]:
        """Encode rows of token ids, of different lengths.

        Returns:
            States, shape (n, longest row, hidden size), and which of them belong to a token,
            shape (n, longest row).
        """
        longest = max(len(row) for row in rows)
        ids = np.zeros((len(rows), longest), np.int64)
        mask = np.zeros((len(rows), longest), np.bool_)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = row, True
        states = self._embed(ids)
        bias = np.where(mask, np.float32(0), MASKED)[:, None, None, :]
        for layer in range(self.config.num_hidden_layers):
            states = self._layer(f"encoder.layer.{layer}", states, bias)
        return states, mask

    def _embed(self, ids: NDArray[np.int64]) -> Floats:
        words = self._weights["embeddings.word_embeddings.weight"][ids]
        places = self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        kinds = self._weights["embeddings.token_type_embeddings.weight"][0]
        return self._norm("embeddings.LayerNorm", words + places + kinds)

    def _layer(self, name: str, states: Floats, bias: Floats) -> Floats:
        seen = self._dense(f"{name}.attention.output.dense", self._attend(name, states, bias))
        states = self._norm(f"{name}.attention.output.LayerNorm", states + seen)
        inner = self._dense(f"{name}.intermediate.dense", states)
        inner *= np.float32(0.5) * (1 + erf(inner * SQRT_HALF))  # GELU
        outer = self._dense(f"{name}.output.dense", inner)
        return self._norm(f"{name}.output.LayerNorm", states + outer)

    def _attend(self, name: str, states: Floats, bias: Floats) -> Floats:
        query, key, value = (
            self._heads(self._dense(f"{name}.attention.self.{part}", states))
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(-1, -2) / np.float32(query.shape[-1] ** 0.5) + bias
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        seen: Floats = scores @ value
        return seen.swapaxes(1, 2).reshape(states.shape)

    def _heads(self, states: Floats) -> Floats:
        n, length, _ = states.shape
        return states.reshape(n, length, self.config.num_attention_heads, -1).swapaxes(1, 2)

    def _dense(self, name: str, states: Floats) -> Floats:
        flat = states.reshape(-1, states.shape[-1])
        out = flat @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return out.reshape(*states.shape[:-1], -1)

    def _norm(self, name: str, states: Floats) -> Floats:
        centred = states - states.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(variance + np.float32(self.config.layer_norm_eps))
        normed: Floats = scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return normed

    def _check_weights(self, model: str) -> None:
        size, last = self.config.hidden_size, self.config.num_hidden_layers - 1
        expected = {
            "embeddings.LayerNorm.weight": (size,),
            "embeddings.token_type_embeddings.weight": (2, size),
            f"encoder.layer.{last}.attention.self.query.weight": (size, size),
            f"encoder.layer.{last}.output.LayerNorm.bias": (size,),
        }
        for name, shape in expected.items():
            if name not in self._weights or self._weights[name].shape != shape:
                raise ConfigurationError(
                    f"the weights of {model} do not fit its config.json ({name}): fetch both again"
                )


def _read_config(path: Path) -> BertConfig:
    try:
        found = json.loads(path.read_text("utf-8"))
        if (found["model_type"], found["hidden_act"]) != ("bert", "gelu"):
            raise ConfigurationError(
                f"{path.parent.name} is a model of type {found['model_type']!r} with "
                f"{found['hidden_act']!r}; the caption embedder runs BERT with GELU"
            )
        return BertConfig(**{name: found[name] for name in BertConfig.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"config.json of {path.parent.name} cannot be read: fetch it again"
        ) from error

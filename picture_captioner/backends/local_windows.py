"""The windows of Qwen2.5-VL's vision tower in one call a layer.

The tower attends inside windows of 112 pixels. Without FlashAttention transformers makes one call
for each window: 984 for a photo, 7,872 for eight, and a card waits for the next call most of the
time. Here the windows of a layer are padded to the longest and go through torch's attention at
once, the padding masked; likewise the photos of a batch in the layers that look at a whole photo.

transformers hands windows over as they are (`cu_seq_lens`) to an attention whose name says flash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "packed_flash"

SHORT = 256
"""Positions. Whole photos are longer, and padded only while that costs at most as much again: a
call each is nothing where there are eight of them."""


def pack_windows(tower: Any) -> None:
    """Let this vision tower attend to all windows of a layer at once."""
    AttentionInterface.register(NAME, packed_attention)
    tower.config._attn_implementation = NAME


def packed_attention(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,  # noqa: ARG001 - called by name
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    **_others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention inside each window.

    `query`, `key` and `value` have the shape (1, heads, positions, width), the windows one after
    the other; `cu_seq_lens_q` is where each begins, and the end. The result has the shape
    (1, positions, heads, width).
    """
    tensors = (query[0], key[0], value[0])
    lengths = cu_seq_lens_q.diff().tolist()
    longest = max(lengths)
    if longest > SHORT and len(lengths) * longest**2 > 2 * sum(n**2 for n in lengths):
        parts = zip(*(torch.split(t, lengths, dim=1) for t in tensors), strict=True)
        calls = [_attend(part, None, scaling) for part in parts]
        return torch.cat(calls, dim=1).transpose(0, 1)[None], None
    if len(set(lengths)) == 1:  # no mask, and nothing to move
        shape = (-1, len(lengths), longest, query.shape[3])
        output = _attend([t.reshape(shape).transpose(0, 1) for t in tensors], None, scaling)
        return output.transpose(1, 2).flatten(0, 1)[None], None
    places = torch.arange(longest, device=query.device)
    inside = places < cu_seq_lens_q.diff()[:, None]
    # The padding repeats the last position: any finite number will do, it is masked and cut off.
    chosen = (cu_seq_lens_q[:-1, None] + places).clamp(max=query.shape[2] - 1).long()
    packed = [tensor[:, chosen].transpose(0, 1) for tensor in tensors]
    output = _attend(packed, inside[:, None, None, :], scaling)
    return output.transpose(1, 2)[inside][None], None


def _attend(
    tensors: Sequence[torch.Tensor], mask: torch.Tensor | None, scaling: float
) -> torch.Tensor:
    query, key, value = tensors
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)

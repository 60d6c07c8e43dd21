"""Which embedders exist, and how to get at one.

A new embedder is one file and one row in `BUILT_IN`; picture_captioner/registry.py imports it.
"""

from __future__ import annotations

from picture_captioner.embedders.base import Embedder
from picture_captioner.registry import Plugin, Registry

AUTO = "auto"
"""Not an embedder: `choice.choose` takes one."""


BUILT_IN = (
    Plugin(
        "siglip2",
        "picture_captioner.embedders.siglip2:Siglip2Embedder",
        "local",
        "what photos show, by SigLIP 2; texts find photos; wants a GPU, 1.5 GB",
    ),
    Plugin(
        "clip",
        "picture_captioner.embedders.clip:ClipEmbedder",
        "local",
        "what photos show, by CLIP; texts find photos; half the work of siglip2, 0.6 GB",
    ),
    Plugin(
        "onnx",
        "picture_captioner.embedders.onnx:OnnxEmbedder",
        "onnx",
        "an image encoder of your own in ONNX Runtime; no torch",
    ),
    Plugin(
        "caption",
        "picture_captioner.embedders.caption:CaptionEmbedder",
        "report",
        "what the captions say, by all-MiniLM-L6-v2; needs no photos, no torch, 91 MB",
    ),
    Plugin(
        "pixels",
        "picture_captioner.embedders.pixels:PixelsEmbedder",
        "report",
        "colours, texture and layout, measured; no model, always works",
    ),
)

REGISTRY = Registry("embedder", Embedder, BUILT_IN, (AUTO,))  # type: ignore[type-abstract]
embedders, embedder_info, embedder_class = REGISTRY.rows, REGISTRY.row, REGISTRY.load

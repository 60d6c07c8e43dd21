"""How much memory a model takes, and how it is made to fit.

The sum, in bytes (docs/self_hosted_models.md explains it):

    weights    quantised parameters x 0.516 (int4), 1 (int8) or 2 (16 bit), the others x 2
    a photo    KV cache: 2 x layers x key/value heads x head size x 2 for each of its tokens,
               plus what the vision tower and one layer hold while they work
    workspace  0.6 GB on a GPU for driver, libraries and kernels

Parameters are counted on a model without memory (torch's meta device), so nothing is loaded to
find out that it would not fit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from picture_captioner.errors import BackendUnavailableError
from picture_captioner.workers.device_errors import first_line

GB = 1e9

NF4_BYTES = 0.516
"""4 bits, and 0.127 for the scales after double quantisation (Dettmers et al. 2023, QLoRA)."""

WORKSPACE_BYTES = 0.6 * GB
MEMORY_BACK_SECONDS = 60
ENOUGH_BACK = 0.9
"""Of what was free when the run began."""

BATCH_WORTH_HAVING = 8
"""Photos at a time that must fit before 16-bit weights are chosen over 4-bit ones."""


@dataclass(frozen=True)
class Parameters:
    """How many parameters are in layers that may be quantised, and how many are not."""

    quantisable: int
    others: int


@dataclass(frozen=True)
class Footprint:
    """Bytes that a model takes, by quantisation, and what one photo adds."""

    parameters: Parameters
    photo: float
    workspace: float
    width: int
    """Bytes of a parameter that is not quantised."""

    widened: int = 0
    """Parameters that take 4 bytes in place of `width`."""

    def weights(self, quantization: str) -> float:
        """Bytes of the weights."""
        per_parameter = {"int4": NF4_BYTES, "int8": 1.0}.get(quantization, self.width)
        wider = self.widened * (4 - self.width)
        return (
            self.parameters.quantisable * per_parameter
            + self.parameters.others * self.width
            + wider
        )

    def total(self, quantization: str, photos: int = 1) -> float:
        """Bytes with so many photos at a time."""
        return self.weights(quantization) + self.workspace + photos * self.photo


def count_parameters(model: torch.nn.Module, language: str) -> Parameters:
    """Linear layers below the module `model.<language>` are those that bitsandbytes replaces."""
    inside = f"model.{language}."
    quantisable = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name.startswith(inside)
    )
    return Parameters(quantisable, sum(p.numel() for p in model.parameters()) - quantisable)


def count_part(model: Any, name: str | None) -> int:
    """Parameters of the part `model.<name>`; 0 for None."""
    return sum(p.numel() for p in getattr(model.model, name).parameters()) if name else 0


def photo_bytes(config: Any, visual_tokens: int, text_tokens: int, width: int) -> float:
    """What one photo adds while it is captioned.

    `text_tokens` are those of the prompt and of the answer together, `width` the bytes of a number.
    """
    text = config.get_text_config()
    tokens = visual_tokens + text_tokens
    heads = _number(text, "num_key_value_heads", "num_attention_heads", default=16)
    hidden = _number(text, "hidden_size", "d_model", default=2048)
    head = _number(text, "head_dim", default=0) or hidden // _number(
        text, "num_attention_heads", "encoder_attention_heads", default=16
    )
    layers = _number(text, "num_hidden_layers", "decoder_layers", default=32)
    cache = 2 * layers * heads * head * width * tokens
    inner = _number(text, "intermediate_size", "encoder_ffn_dim", default=4 * hidden)
    vision = getattr(config, "vision_config", None)
    patches = patches_per_token(config) * visual_tokens
    eye = _number(vision, "hidden_size", default=1280)
    return float(cache + 3 * inner * width * tokens + 12 * eye * width * patches)


def patches_per_token(config: Any) -> float:
    """How many patches the vision tower works on for each token that the language model gets.

    Qwen and InternVL make one of two by two, SmolVLM of 4 by 4 (3 by 3 in the largest), Gemma 3
    always takes 4,096 patches and makes 256 tokens of them.
    """
    vision = getattr(config, "vision_config", None)
    if pooled := _number(config, "mm_tokens_per_image", default=0):
        edge = _number(vision, "image_size", default=896) // _number(
            vision, "patch_size", default=14
        )
        return edge**2 / pooled
    side = _number(config, "scale_factor", default=0) or _number(
        vision, "spatial_merge_size", default=2
    )
    return float(side**2)


def _number(config: Any, *names: str, default: int) -> int:
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int) and value:
            return value
    return default


def free_bytes(device: str) -> float:
    """What this process may still take on the device, in bytes.

    Raises:
        BackendUnavailableError: the card does not answer.
    """
    if device == "cuda":
        try:
            return float(torch.cuda.mem_get_info()[0])
        except RuntimeError as error:  # a full card has no room for a context either
            raise BackendUnavailableError(
                f"the card cannot be asked how much memory is free ({first_line(error)}): it is "
                "full, or the driver is not well. End other programs that use it (nvidia-smi lists "
                "them), or give --device cpu"
            ) from error
    if device == "mps":
        taken = torch.mps.driver_allocated_memory()
        return float(torch.mps.recommended_max_memory() - taken)
    return float(psutil.virtual_memory().available)


def wait_for_memory(
    before: float | None,
    device: str,
    notice: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the memory of the process that this one replaces is back: a card holds one model.

    A driver frees it some seconds after the process is gone; longer than a minute is another
    program's doing, and then the model is loaded into what there is.

    Args:
        before: bytes that were free when the first process began; None for the first.
    """
    if before is None or not (device == "cuda" or (device == "auto" and torch.cuda.is_available())):
        return
    for _ in range(MEMORY_BACK_SECONDS):
        if free_bytes("cuda") >= ENOUGH_BACK * before:
            return
        sleep(1.0)
    notice(
        f"{gigabytes(free_bytes('cuda'))} GB are free on the card, {gigabytes(before)} GB were "
        "before: another program has taken the rest"
    )


def choose_quantization(footprint: Footprint, device: str, free: float) -> str:
    """16-bit weights where they leave room for eight photos at a time, else nf4.

    int8 is never chosen: wherever it fits, int4 fits with more photos at a time. Only CUDA is
    quantised by itself: elsewhere memory is the computer's own, and whole weights are quicker.
    """
    if device != "cuda" or footprint.total("none", BATCH_WORTH_HAVING) <= free:
        return "none"
    return "int4"


def describe(footprint: Footprint, quantization: str, visual_tokens: int) -> str:
    """The sum in words: `about 4.2 GB (3.4 weights, 0.6 workspace, 0.14 for each photo ...)`."""
    weights, photo = footprint.weights(quantization), footprint.photo
    parts = [f"{gigabytes(weights)} weights"]
    if footprint.workspace:
        parts.append(f"{gigabytes(footprint.workspace)} workspace")
    parts.append(f"{gigabytes(photo)} for each photo at a time, {visual_tokens:,} visual tokens")
    return f"about {gigabytes(footprint.total(quantization))} GB ({'; '.join(parts)})"


def advice(footprint: Footprint, quantization: str, device: str, free: float) -> str:
    """What to do about a model that does not fit."""
    lighter = [
        q for q in ("int8", "int4") if footprint.weights(q) < footprint.weights(quantization)
    ]
    tips = [
        f"--quantization {q} (about {gigabytes(footprint.total(q))} GB)"
        for q in lighter
        if footprint.total(q) <= free
    ]
    if device == "cuda":
        tips.append("end other programs that use the GPU (nvidia-smi lists them)")
    tips.append("a smaller --model, see docs/self_hosted_models.md")
    if device != "cpu":
        tips.append("--device cpu, which is slow")
    return "; or ".join(tips)


def gigabytes(number: float) -> str:
    """`4.2`, or two digits of what is smaller than one."""
    value = number / GB
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"

"""From a model's folder to a model on a device: which device, which numbers, which attention."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers as typed_transformers
from safetensors import SafetensorError
from transformers.utils.import_utils import is_flash_attn_2_available

from picture_captioner.backends.local_devices import choose_device, runs_flash_attention
from picture_captioner.backends.local_families import Family, Processor, family_of, visual_tokens
from picture_captioner.backends.local_memory import (
    GB,
    WORKSPACE_BYTES,
    Footprint,
    Parameters,
    advice,
    choose_quantization,
    count_parameters,
    count_part,
    describe,
    free_bytes,
    gigabytes,
    photo_bytes,
)
from picture_captioner.backends.local_windows import pack_windows
from picture_captioner.errors import BackendUnavailableError, ConfigurationError
from picture_captioner.hub.catalogue import models_for
from picture_captioner.workers.device_errors import DeviceFailure, failure_of, first_line

PROMPT_TOKENS = 128
"""For the question and the chat template around it."""

_PACKED_ROWS = 32  # `block_n` of bitsandbytes' _convert_weight_packed_for_cpu
_NF4_BLOCK = 64

transformers: Any = typed_transformers
"""Half of its functions have no types: a strict checker would refuse each call."""

Model = Any
"""A `PreTrainedModel` with `generate`: transformers' own types say neither."""


@dataclass(frozen=True)
class Plan:
    """What will be loaded, and where."""

    folder: Path
    config: Any
    family: Family
    known_family: bool
    device: str
    dtype: torch.dtype
    quantization: str
    attention: str
    footprint: Footprint
    visual_tokens: int
    free: float
    widened: str | None
    """The part of the model that computes in 32 bit, if there is one beside 16-bit others."""

    whole: tuple[str, ...]
    """Modules that are never quantised."""

    def sentence(self, name: str) -> str:
        """One line for the person, before anything is loaded."""
        kind = f"{self.quantization}, the rest " if self.quantization != "none" else ""
        numbers = f"{kind}{str(self.dtype).removeprefix('torch.')}"
        needs = describe(self.footprint, self.quantization, self.visual_tokens)
        return (
            f"Loading {name} ({self.family.title}) on {self.device} in {numbers}, {self.attention} "
            f"attention: {needs}; {gigabytes(self.free)} GB are free"
        )

    def presets(self) -> tuple[str, ...]:
        """Models that are made for so much memory; none where a card's memory is not told."""
        return models_for(torch.cuda.mem_get_info()[1] / GB) if self.device == "cuda" else ()

    def check_that_it_fits(self, name: str) -> None:
        """Refuse before loading, with advice.

        Raises:
            BackendUnavailableError: one photo at a time would not fit.
        """
        if self.footprint.total(self.quantization) <= self.free:
            return
        tips = advice(self.footprint, self.quantization, self.device, self.free)
        raise BackendUnavailableError(
            f"{name} needs {describe(self.footprint, self.quantization, self.visual_tokens)} on "
            f"{self.device}, and {gigabytes(self.free)} GB are free. Try {tips}"
        )


def plan(
    folder: Path,
    device: str,
    quantization: str,
    max_pixels: int,
    new_tokens: int,
    memory_gb: float | None = None,
) -> Plan:
    """Decide how a model is loaded, from its configuration alone.

    `device` and `quantization` are as asked for, `max_pixels` is the area of a picture,
    `new_tokens` the length of the longest answer; `memory_gb` of the device may be used, None for
    all that is free.

    Raises:
        ConfigurationError: no such device, a family that cannot be run, a quantisation that the
            device or the model does not take.
    """
    config = read_config(folder)
    family, known = family_of(config.model_type)
    device = choose_device(device)
    dtype = choose_dtype(device, quantization)
    skeleton = _skeleton(config)
    tokens = visual_tokens(family, max_pixels)
    stored = getattr(config, "quantization_config", None) is not None
    width = dtype.itemsize
    widened = family.overflows if dtype is torch.float16 else None
    if stored:  # what quantised files take on the disk, they take in memory
        files = folder.glob("*.safetensors")
        parameters = Parameters(0, sum(file.stat().st_size for file in files) // width)
    else:
        parameters = count_parameters(skeleton, family.language)
    footprint = Footprint(
        parameters=parameters,
        photo=photo_bytes(config, tokens, PROMPT_TOKENS + new_tokens, width),
        workspace=WORKSPACE_BYTES if device == "cuda" else 0.0,
        width=width,
        widened=count_part(skeleton, widened),
    )
    free = min(free_bytes(device), memory_gb * GB if memory_gb else math.inf)
    if stored:
        quantization = _as_stored(quantization)
    elif quantization == "auto":
        quantization = choose_quantization(footprint, device, free)
    return Plan(
        folder=folder,
        config=config,
        family=family,
        known_family=known,
        device=device,
        dtype=dtype,
        quantization=quantization,
        attention=choose_attention(skeleton, device),
        footprint=footprint,
        visual_tokens=tokens,
        free=free,
        widened=widened,
        whole=modules_left_whole(skeleton, family),
    )


@contextmanager
def plain_about_the_device() -> Iterator[None]:
    """Say what an error of the device means while a model is loaded: no photo is involved yet.

    A card that is full has no room for the first step either, wherever that is taken.

    Raises:
        BackendUnavailableError: memory ran out, or the device failed.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        failure = failure_of(error)
        if failure is None:
            raise
        full = failure is not DeviceFailure.DEVICE_LOST
        reason = "its memory is full" if full else "it is not well"
        raise BackendUnavailableError(
            f"the device failed before the first photo ({first_line(error)}): {reason}. End other "
            "programs that use it (nvidia-smi lists them), look at the driver (dmesg), or give "
            "--device cpu"
        ) from error


def _as_stored(quantization: str) -> str:
    if quantization != "auto":
        raise ConfigurationError(
            f"--quantization {quantization}: the model's files are quantised already; leave the "
            "flag out"
        )
    return "none"


def read_config(folder: Path) -> Any:
    """The model's configuration; code that comes with a model is never run.

    Raises:
        ConfigurationError: transformers cannot read it.
    """
    try:
        return transformers.AutoConfig.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(
            f"the installed transformers {transformers.__version__} cannot read this model's "
            f"config.json without running code from the hub, which is never done here: "
            f"{str(error).splitlines()[0][:200]}. Choose another --model, or serve it with Ollama "
            "or vLLM"
        ) from error


def choose_dtype(device: str, quantization: str) -> torch.dtype:
    """16 bit where the device computes with it: bfloat16, which these models were trained in.

    Older CUDA cards (before the RTX 30 series) get float16. On a CPU 16 bit is slower than 32,
    except beside quantised layers, which compute in 16 bit anyway.
    """
    if device == "cuda":
        whole = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if whole else torch.float16
    if device == "cpu" and quantization in {"none", "auto"}:
        return torch.float32
    return torch.bfloat16


def choose_attention(skeleton: Any, device: str) -> str:
    """FlashAttention 2 if it is installed and the card runs it, else torch's own, else plain."""
    flash = getattr(skeleton, "_supports_flash_attn", False)
    if device == "cuda" and flash and is_flash_attn_2_available() and runs_flash_attention():
        return "flash_attention_2"
    return "sdpa" if getattr(skeleton, "_supports_sdpa", False) else "eager"


def _skeleton(config: Any) -> Model:
    """The model without memory for its weights: enough to count them."""
    with torch.device("meta"):
        return transformers.AutoModelForImageTextToText.from_config(config)


def load_model(plan: Plan) -> Model:
    """Load the weights onto the device.

    Raises:
        BackendUnavailableError: the files are damaged, or quantisation touched the vision tower.
    """
    quietly()
    try:
        model = transformers.AutoModelForImageTextToText.from_pretrained(
            plan.folder,
            config=plan.config,
            dtype=plan.dtype,
            attn_implementation=plan.attention,
            device_map={"": plan.device},
            quantization_config=_quantization_config(plan),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
    except (OSError, ValueError, ImportError, RuntimeError, MemoryError, SafetensorError) as error:
        if failure_of(error) in {DeviceFailure.OUT_OF_MEMORY, DeviceFailure.PERHAPS_MEMORY}:
            tips = advice(plan.footprint, plan.quantization, plan.device, plan.free)
            raise BackendUnavailableError(
                f"memory ran out on {plan.device} while the model was loaded, although "
                f"{gigabytes(plan.free)} GB were free before: {first_line(error)}. Try {tips}"
            ) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BackendUnavailableError(f"the model does not load: {reason[:300]}") from error
    model.eval()
    if plan.widened:
        getattr(model.model, plan.widened).float()
    if plan.family.windows and plan.attention == "sdpa":
        pack_windows(getattr(model.model, plan.family.windows))
    if plan.quantization != "none":
        _check_vision_is_whole(model, plan.family)
    if plan.quantization == "int4" and plan.device == "cpu":
        leave_odd_layers_unpacked(model)
    return model


def leave_odd_layers_unpacked(model: Model) -> None:
    """Keep bitsandbytes from repacking layers whose shape its kernel for bfloat16 does not take.

    On a CPU with AVX512-BF16 it packs every 4-bit layer at its first use, rows by 32 and columns by
    the block of a scale (64), without a look at the shape: a layer of 96 columns ends the answer
    with "shape '[64, 1]' is invalid" (bitsandbytes 0.50.2). Others keep the quicker kernel.
    """
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            state = getattr(module.weight, "quant_state", None)
            block = getattr(state, "blocksize", _NF4_BLOCK)
            if module.out_features % _PACKED_ROWS or module.in_features % block:
                module.support_avx512bf16_for_cpu = False


def load_processor(folder: Path) -> Processor:
    """The processor: picture to patches, text to tokens.

    Raises:
        BackendUnavailableError: its files are damaged or missing.
    """
    try:
        return transformers.AutoProcessor.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise BackendUnavailableError(
            f"the model's processor does not load: {str(error).strip().splitlines()[0][:300]}"
        ) from error


def quietly() -> None:
    """Keep transformers' bars and warnings off the screen; errors are raised anyway."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # int8: a line for each layer


def _quantization_config(plan: Plan) -> Any:
    if plan.quantization == "none":
        return None
    whole = list(plan.whole)
    if plan.quantization == "int8":
        return transformers.BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=whole)
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=plan.dtype,
        llm_int8_skip_modules=whole,
    )


def modules_left_whole(skeleton: Model, family: Family) -> tuple[str, ...]:
    """Everything but the language model: vision tower, projector, output head.

    Quantised to nf4 they were seen to break the captions of small models. Names are whole paths:
    transformers 5 matches from the start, and the bare `visual` of many examples matches nothing.
    """
    parts = [name for name, _ in skeleton.model.named_children() if name != family.language]
    return (*(f"model.{name}" for name in parts), "lm_head")


def _check_vision_is_whole(model: Model, family: Family) -> None:
    """Against a change in transformers that would break captions without a word."""
    inside = f"model.{family.language}."
    for name, module in model.named_modules():
        if type(module).__name__ in {"Linear4bit", "Linear8bitLt"} and not name.startswith(inside):
            raise BackendUnavailableError(
                f"transformers {transformers.__version__} quantised {name}, which breaks captions; "
                "use --quantization none, or another version of transformers"
            )

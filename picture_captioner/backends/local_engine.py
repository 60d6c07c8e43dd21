"""A loaded model with its processor: pictures in, texts out, a batch at a time.

Two steps, so that they can run at the same time for different batches: `prepare` resizes, cuts and
tokenises on the CPU; `generate` runs the model on the device.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from picture_captioner.backends.local_families import limit_pixels, prompt_texts
from picture_captioner.backends.local_loading import Model, Plan, load_model, load_processor

if TYPE_CHECKING:
    from PIL.Image import Image


class Prepared(NamedTuple):
    """A batch that the device can work on: padded to its longest prompt, still in main memory."""

    inputs: Any
    tokens: list[int]
    """Of each photo's prompt, padding not counted."""


class Answer(NamedTuple):
    """What the model said about one photo; `ended` is False if it ran out of tokens."""

    text: str
    input_tokens: int
    output_tokens: int
    ended: bool


class Engine:
    """A model on a device. `prepare` may be called from any thread, `generate` from one at a time.

    Args:
        temperature: 0 for greedy decoding: the likeliest token each time, the same in every run.
    """

    def __init__(self, plan: Plan, max_pixels: int, new_tokens: int, temperature: float) -> None:
        self._plan = plan
        self._processor = load_processor(plan.folder)
        self.model: Model = load_model(plan)
        self._tokenizer = self._processor.tokenizer
        # A fast tokenizer raises "Already borrowed" if it decodes in one thread and pads in another
        self._decoder = copy.deepcopy(self._tokenizer)
        self._one_at_a_time = threading.Lock()
        # A decoder continues where the prompt ends, so all prompts of a batch must end together.
        self._decoder_only = not getattr(plan.config, "is_encoder_decoder", False)
        self._tokenizer.padding_side = "left" if self._decoder_only else "right"
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._pixels = limit_pixels(self._processor, plan.family, max_pixels)
        self._configure_generation(new_tokens, temperature)
        if plan.dtype is torch.float16:
            self._watch_for_overflow()

    def _watch_for_overflow(self) -> None:
        """Refuse to generate from numbers that are none: the answer would be "!!!!" to the limit.

        float16 ends at 65,504; where a picture makes larger numbers, they are infinite, and with
        them everything that follows, for the whole batch. The look at them waits for the device,
        so it is taken only where the danger is.
        """

        def check(_module: Any, _given: Any, keywords: dict[str, Any]) -> None:
            embedded = keywords.get("inputs_embeds")
            if embedded is not None and not bool(torch.isfinite(embedded).all()):
                raise FloatingPointError("the picture overflows 16-bit numbers on this card")

        self.model.get_decoder().register_forward_pre_hook(check, with_kwargs=True)

    def _configure_generation(self, new_tokens: int, temperature: float) -> None:
        """The model's own settings stay, but for what decides on length and chance."""
        config = self.model.generation_config
        config.max_length = None
        config.max_new_tokens = new_tokens
        config.num_beams = 1
        config.do_sample = temperature > 0
        config.temperature = temperature or None
        if not config.do_sample:
            config.top_p = config.top_k = None
        config.pad_token_id = self._tokenizer.pad_token_id
        ends = config.eos_token_id
        if ends is None:
            ends = config.eos_token_id = self._tokenizer.eos_token_id
        self._ends = torch.tensor(ends if isinstance(ends, list) else [ends])

    def prepare(self, images: Sequence[Image], questions: Sequence[str]) -> Prepared:
        """Make the model's input: on the CPU, without the device.

        Args:
            images: RGB, of any sizes.
            questions: one for each image.
        """
        family = self._plan.family
        with self._one_at_a_time:
            inputs = self._processor(
                text=prompt_texts(self._processor, family, questions),
                images=[[image] for image in images],
                padding=True,
                return_tensors="pt",
                images_kwargs=self._pixels,
            )
        tokens = inputs["attention_mask"].sum(dim=1).tolist()
        return Prepared(inputs.to(dtype=self._plan.dtype), tokens)

    @torch.inference_mode()
    def generate(self, prepared: Prepared, new_tokens: int | None = None) -> list[Answer]:
        """Let the model answer, for each photo of the batch in its order.

        Args:
            new_tokens: of the longest answer, if it is another than the engine was made for.

        Raises:
            RuntimeError: as torch raises it: out of memory, or the device is gone.
            FloatingPointError: a picture makes numbers that are too large for 16 bit.
        """
        inputs = prepared.inputs.to(self._plan.device)
        limit = new_tokens or self.model.generation_config.max_new_tokens
        output = self.model.generate(**inputs, max_new_tokens=limit).cpu()
        # Ahead of the answer comes the prompt, or the one token that starts every decoder.
        output = output[:, inputs["input_ids"].shape[1] if self._decoder_only else 1 :]
        texts = self._decoder.batch_decode(output, skip_special_tokens=True)
        ends = torch.isin(output, self._ends)
        return [
            Answer(text, tokens, *self._length(end))
            for text, tokens, end in zip(texts, prepared.tokens, ends, strict=True)
        ]

    @staticmethod
    def _length(ends: torch.Tensor) -> tuple[int, bool]:
        """How many tokens up to the one that ends the answer, and whether there is one."""
        positions = ends.nonzero()
        if len(positions) == 0:
            return len(ends), False
        return int(positions[0]) + 1, True

    def free_cache(self) -> None:
        """Give back what torch keeps for later; after an out-of-memory error, not before."""
        if self._plan.device == "cuda":
            torch.cuda.empty_cache()
        elif self._plan.device == "mps":
            torch.mps.empty_cache()

    def unload(self) -> None:
        """Let go of the model; nothing can be asked afterwards."""
        del self.model

    def memory(self) -> int | None:
        """Bytes that torch holds on the device; None where that is not told apart (CPU)."""
        if self._plan.device == "cuda":
            return torch.cuda.memory_reserved()
        if self._plan.device == "mps":
            return torch.mps.driver_allocated_memory()
        return None

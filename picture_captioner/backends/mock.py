"""Placeholder captions at once and, on request, failures: to rehearse runs, stops and restarts.

Which photo fails, and how, follows from its pixels and the `seed` option alone: a retry of the same
photo fails the same way, in every run, and another seed picks other photos.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from picture_captioner.backends.base import BackendOptions, Caption, CaptionBackend, Fault
from picture_captioner.backends.fields import FieldsAsked
from picture_captioner.errors import ApiError, ModelError, PhotoError

if TYPE_CHECKING:
    from PIL.Image import Image

_FAILURES: tuple[tuple[type[PhotoError], str, str], ...] = (
    (ApiError, "mock_api", "the service refuses this photo"),
    (ModelError, "refused", "the model refuses to answer"),
    (ModelError, "empty", "the model returned nothing"),
    (ModelError, "truncated", "the answer was cut off"),
)
"""Class, code and message; an error is made anew each time, since threads raise them at once."""


class MockBackend(CaptionBackend):
    """Says how large a photo is; nothing leaves the process."""

    name = "mock"
    summary = "instant placeholder captions and, on request, failures; for rehearsals"
    placeholder = True
    writes_fields = True
    default_model = "mock-1"
    default_workers = 8
    preferred_edge = 256

    class Options(BackendOptions):
        """`error_rate`: the share of photos that fail; `latency`: seconds for each answer."""

        error_rate: float = Field(default=0.0, ge=0.0, le=1.0)
        latency: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
        seed: int = 0

    def caption(
        self, image: Image, hints: Sequence[str], fault: Fault | None = None
    ) -> Caption | str:
        """The photo's size before it was shrunk, in words, after `latency` seconds.

        Fields that are asked for say that nobody looked: nothing is made up about the photo.

        Raises:
            PhotoError: a simulated failure, for `error_rate` of all photos.
        """
        options = self.settings.options
        if not isinstance(options, self.Options):
            options = self.Options()
        time.sleep(options.latency)
        if options.error_rate:
            _fail_for_some(image, options.error_rate, options.seed)
        width, height = image.info.get("full_size", image.size)
        text = f"a mock caption for a {width}x{height} photo"
        if self.settings.asked is None:
            return text
        return Caption(text, _nothing_known(self.settings.asked, f"{width}x{height}"))


def _nothing_known(asked: FieldsAsked, size: str) -> dict[str, Any]:
    strict = asked.vocabulary is not None and asked.vocabulary.mode == "strict"
    unknown = {"value": "unknown", "confidence": 0.0}
    nothing = {"value": [], "confidence": 0.0}
    known = {
        "title": f"a mock title for a {size} photo",
        "tags": [] if strict else ["mock", "placeholder", size],
        "summary": f"a mock summary for a {size} photo",
        "places": [],
        "people_count": {"value": 0, "confidence": 0.0},
        "activities": nothing,
        "objects": nothing,
        "text_in_image": {"value": "", "confidence": 0.0},
        "quality": {"score": 0.0, "note": "a placeholder; nobody looked", "confidence": 0.0},
    }
    return {name: known.get(name, unknown) for name in asked.names if name != "caption"}


def _fail_for_some(image: Image, error_rate: float, seed: int) -> None:
    digest = hashlib.sha256(f"{seed} {image.size} ".encode() + image.tobytes()).digest()
    if int.from_bytes(digest[:8], "big") < error_rate * 2**64:
        error, code, message = _FAILURES[digest[8] % len(_FAILURES)]
        raise error(f"simulated: {message}", code=code)

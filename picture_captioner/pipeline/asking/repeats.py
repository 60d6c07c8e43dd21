"""Notices a model that says the same whatever it is shown: it would fill a library with that.

A server whose vision part is missing answers happily from the text alone. Each answer looks like a
caption; only the next one, to another photo, shows that it is none.
"""

from __future__ import annotations

import threading

from PIL.Image import Image

from picture_captioner.backends.base import DEFAULT_PROMPT, Caption, CaptionBackend
from picture_captioner.errors import BackendUnavailableError
from picture_captioner.image_loader import perceptual_hash
from picture_captioner.journal import Record

SAME_IN_A_ROW = 8
"""Photos that differ, with one text, before the run ends."""

LOOK_ALIKE_BITS = 12
"""Of 64: bursts and copies in another size differ by no more, and may share a caption."""

_WORD_OF_CHOICE = 20
"""Characters: a prompt of one's own may ask for a word, such as `indoors`, and gets it often."""


class RepeatWatch:
    """The last text of one backend, and the photos that differ which it was given to. Thread-safe.

    The photo of the last text is kept, not its hash: that is computed once a text comes again.
    """

    def __init__(self, backend: CaptionBackend) -> None:
        self._off = backend.placeholder
        self._words_of_choice = backend.settings.prompt != DEFAULT_PROMPT
        self._text = ""
        self._first: Image | None = None
        self._hashes: list[int] = []
        self._stored: list[Record] = []
        self._blind: BackendUnavailableError | None = None
        self._lock = threading.Lock()

    def see(self, caption: Caption, image: Image) -> None:
        """Look at a caption before it is stored.

        Raises:
            BackendUnavailableError: the eighth photo in a row with one text, or a later one.
        """
        text = (caption.text or "").casefold()
        if self._off or not text or (self._words_of_choice and len(text) < _WORD_OF_CHOICE):
            return
        with self._lock:
            if text != self._text:
                self._text, self._first, self._hashes, self._stored = text, image, [], []
                return
            if self._blind is not None:
                raise self._blind
            self._compare(image)
            if len(self._hashes) >= SAME_IN_A_ROW:
                self._blind = BackendUnavailableError(_same(caption.text or ""))
                raise self._blind

    def stored(self, record: Record) -> bool:
        """A caption was written; whether it is to be withdrawn at once, for others found it out."""
        with self._lock:
            if (record.caption or "").casefold() != self._text:
                return False
            if self._blind is None:
                self._stored.append(record)
            return self._blind is not None

    def take_stored(self) -> list[Record]:
        """What was written of the one text, once it is found out; given out once."""
        with self._lock:
            stored, self._stored = self._stored if self._blind else [], []
            return stored

    def _compare(self, image: Image) -> None:
        """Count the photo if it looks like none of those that were counted."""
        for seen in (self._first, image):
            if seen is not None:
                bits = perceptual_hash(seen)
                if all((bits ^ other).bit_count() > LOOK_ALIKE_BITS for other in self._hashes):
                    self._hashes.append(bits)
        self._first = None


def _same(text: str) -> str:
    said = text if len(text) <= 80 else text[:79] + "…"
    return (
        f"{SAME_IN_A_ROW} photos in a row that look nothing alike got one and the same text "
        f"({said}): the model seems not to see them. Try another --model or --backend; for a "
        "server of your own, check that the model's vision part (mmproj) is loaded"
    )

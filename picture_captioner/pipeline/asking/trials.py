"""The last step before the backend: photos are noted, and suspects are tried alone.

If the process dies, the next one reads from the notes who was there (journal/in_flight.py). What
follows from that is in deaths.py; here it is carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PIL import Image

from picture_captioner.backends.base import Caption
from picture_captioner.errors import PhotoError, Usage
from picture_captioner.journal import InFlight, Sent
from picture_captioner.pipeline.asking.circuit_breaker import Withheld
from picture_captioner.pipeline.asking.deaths import Deaths, died_record
from picture_captioner.pipeline.asking.prices import usage_of
from picture_captioner.pipeline.asking.service import Answered, BackendService
from picture_captioner.pipeline.decoding.decode_ahead import DecodedPhoto
from picture_captioner.pipeline.dedup import ContentIndex
from picture_captioner.pipeline.recording.recorder import Recorder
from picture_captioner.pipeline.selecting.hints import Tags
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.work_queue import WorkQueue

PLAIN_EDGE = 256
"""Pixels. Small, because a photo may be guilty of its size."""


class Trials:
    """Lets photos through to the backend, and holds back those that must wait. Thread-safe."""

    def __init__(
        self,
        deaths: Deaths,
        in_flight: InFlight,
        queue: WorkQueue,
        content: ContentIndex,
        recorder: Recorder,
        identity: Identity,
    ) -> None:
        self._deaths = deaths
        self._in_flight = in_flight
        self._queue = queue
        self._content = content
        self._recorder = recorder
        self._identity = identity
        self._proved: set[int] = set()

    def admit(self, batch: list[DecodedPhoto]) -> list[DecodedPhoto]:
        """Those that the backend may have now.

        What is known only now that the file was read: a copy of a guilty photo gets its verdict,
        one of a suspect waits for a trial of its own.
        """
        return [d for d in batch if self._may_pass(d)] if self._deaths else batch

    def _may_pass(self, decoded: DecodedPhoto) -> bool:
        item, loaded, _ = decoded
        sha256 = loaded.content_sha256
        if error := self._deaths.verdict(sha256):
            record = died_record(item.photo, sha256, error, self._identity)
            verdict = Withheld(item, record, error)
            self._recorder.release([verdict])
            self._recorder.failed([verdict])
            return False
        if item.on_trial or not self._deaths.is_suspect(sha256):
            return True
        self._queue.put_back(self._content.resolve(loaded.size, sha256, None))
        self._queue.put_on_trial(item)
        return False

    def prove(self, service: BackendService) -> Usage:
        """Show a backend that has not answered yet a plain picture; returns what that cost.

        If the process dies of that too, then it was not the photo: none is noted then.

        Raises:
            RunStopped, FatalError: as for a photo.
        """
        if service.breaker.successes or id(service) in self._proved:
            return Usage()
        plain = Image.linear_gradient("L").resize((PLAIN_EDGE, PLAIN_EDGE)).convert("RGB")
        (answered,) = service.ask([plain], [()])
        self._proved.add(id(service))
        answer = answered.answer
        if isinstance(answer, Caption):
            return usage_of(answer)
        return answer.usage if isinstance(answer, PhotoError) else Usage()

    def ask(
        self, service: BackendService, batch: Sequence[DecodedPhoto], tags: Sequence[Tags]
    ) -> list[Answered]:
        """`service.ask`, with a note of the photos for as long as it takes."""
        numbers = self._in_flight.sent([_sent(decoded) for decoded in batch])
        answered: Iterable[bool] = [False] * len(batch)
        try:
            answers = service.ask([decoded.image for decoded in batch], tags)
            answered = [isinstance(a.answer, Caption | PhotoError) for a in answers]
            return answers
        finally:
            self._in_flight.back(numbers, answered)


def _sent(decoded: DecodedPhoto) -> Sent:
    photo, loaded = decoded.item.photo, decoded.loaded
    return Sent(photo.rel_path, loaded.content_sha256, photo.size, photo.mtime_ns)

"""Feeds the pipeline with photos that were claimed from the library's server.

One thread does all that the server is asked for: it says that this worker lives, settles what is
done (settling.py), and claims as many photos as the decoders are about to take.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from picture_captioner.engines.claims import ALONE_AFTER, BLAMED_AFTER, Claims, SeenFile
from picture_captioner.engines.redoing import Redoing
from picture_captioner.engines.settling import Settling
from picture_captioner.errors import PhotoSkipped, UnreadableFileError
from picture_captioner.journal.record import RecordError
from picture_captioner.library.schema import from_key, to_key
from picture_captioner.pipeline.decoding.opening import Opener
from picture_captioner.pipeline.recording.outcomes import FailedPhoto, Outcome, Outcomes
from picture_captioner.pipeline.recording.recorder import SAME_BYTES, SAME_SHOT
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.work_queue import WorkQueue

READY = 16
"""Photos that lie ready for the decoders; fewer, and more are claimed."""

SETTLING_SHARE = 0.2
"""Of the time is spent on telling the server what is done, at most: a busy one is told more in one
go. What it does not know yet others do again if we die."""

WORKER_DIED = RecordError(
    "worker_died",
    f"{BLAMED_AFTER} workers died while they had this photo, the last time it was the only one",
)

POLL_SECONDS = 0.02
WAIT_SECONDS = 2.0
"""How long a worker that has nothing to do waits, at most, before it asks again."""

READ_BYTES, READ_PHOTOS = 64 << 20, 64
"""At most so much is read for hashes before the decoders are looked after again."""

OPEN_SECONDS = 60.0


class Feeder:
    """What a worker's feeding thread does; `end` is for the main thread, afterwards.

    Args:
        pending: the photos that are not known to be done.
        shots: RAW files and the photos taken with them: claimed, and captioned, together.
        redoing: says which of the photos are to be done, also if they were; None: what nobody did.
    """

    def __init__(
        self,
        claims: Claims,
        settling: Settling,
        photos_dir: Path,
        pending: Sequence[Photo],
        shots: Mapping[str, Photo],
        outcomes: Outcomes,
        *,
        follow_links: bool,
        redoing: Redoing | None = None,
    ) -> None:
        self._claims = claims
        self._settling = settling
        self._photos_dir = photos_dir
        self._opener = Opener(None if follow_links else photos_dir)
        self._outcomes = outcomes
        self._redoing = redoing
        self._share: Callable[[int], None] = lambda _: None
        paths = {photo.rel_path for photo in pending}
        self._raw_of: dict[str, list[Photo]] = defaultdict(list)
        self._unread: deque[Photo] = deque()
        for photo in pending:
            leader = shots.get(photo.rel_path)
            if leader is not None and leader.rel_path in paths:
                self._raw_of[leader.rel_path].append(photo)
            else:
                self._unread.append(photo)
        self._by_content: dict[bytes, list[Photo]] = defaultdict(list)
        self._held: set[bytes] = set()
        self._taken: set[bytes] = set()
        self._passed: set[bytes] = set()
        self._settle_again_at = 0.0
        self._alone = False

    def feed(self, queue: WorkQueue) -> None:
        """Hand out what can be claimed, until nothing is left that anybody works on.

        Raises:
            FatalError: the server stays away, or the photos directory does.
        """
        self._settle()
        self._claims.register()
        self._take_what_was_seen()
        wait = POLL_SECONDS
        while not queue.stopped:
            if (live := self._claims.lives(self._held)) is not None:
                self._share(live)
            more = self._read_some()
            busy = self._refill(queue) or more
            self._settle_now_and_then()
            if busy or not queue.idle():
                wait = POLL_SECONDS
            elif self._is_over(queue):
                self._tell_the_others()
                return
            else:
                wait = min(2 * wait, WAIT_SECONDS)
            if not busy:
                self._sleep(queue, wait)

    def share_rate(self, share: Callable[[int], None]) -> None:
        """`share` is told how many workers use the service."""
        self._share = share

    def end(self) -> None:
        """Bring what is in the journal, and let go of everything."""
        self._opener.close()
        try:
            self._settle()
            self._settling.end()
        finally:
            self._claims.end()

    def _sleep(self, queue: WorkQueue, seconds: float) -> None:
        until = time.monotonic() + seconds * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        while not queue.stopped and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    # What there is.

    def _take_what_was_seen(self) -> None:
        """Photos that a worker of this place has read before are not read for their hash again."""
        seen = {(f.rel_path, f.size, f.mtime_ns): f.content for f in self._claims.seen()}
        known = []
        for _ in range(len(self._unread)):
            photo = self._unread.popleft()
            content = seen.get((to_key(photo.rel_path), photo.size, photo.mtime_ns))
            if content is None:
                self._unread.append(photo)
            else:
                known.append((photo, content))
        if known:
            self._claims.still_there([to_key(photo.rel_path) for photo, _ in known])
        self._offer(known)
        if seen and self._unread:  # others are at it: not all from the same end
            self._unread.rotate(random.randrange(len(self._unread)))  # noqa: S311

    def _read_some(self) -> bool:
        """Find out the content of a few more photos; False if it is known of all."""
        if not self._unread:
            return False
        chunk: list[Photo] = []
        size = 0
        while self._unread and len(chunk) < READ_PHOTOS and size < READ_BYTES:
            chunk.append(self._unread.popleft())
            size += chunk[-1].size
        elsewhere = {
            file.rel_path: file.content
            for file in self._claims.known(
                [(to_key(p.rel_path), p.size, p.mtime_ns) for p in chunk]
            )
        }
        found = []
        for photo in chunk:
            content = elsewhere.get(to_key(photo.rel_path)) or self._hash(photo)
            if content is not None:
                found.append((photo, content))
        if found:
            self._claims.see(
                [SeenFile(to_key(p.rel_path), p.size, p.mtime_ns, c) for p, c in found]
            )
        self._offer(found)
        return True

    def _hash(self, photo: Photo) -> bytes | None:
        """The SHA-256 of a file's bytes; None, and counted, if it cannot be read."""
        path = self._photos_dir / photo.rel_path
        try:
            with (
                self._opener.opened(path, OPEN_SECONDS, _overdue) as descriptor,
                os.fdopen(descriptor, "rb", closefd=False) as file,
            ):
                return to_key(hashlib.file_digest(file, "sha256").hexdigest())
        except (OSError, PhotoSkipped) as error:
            said = f"the file cannot be read: {error}"
            self._outcomes.fail(
                FailedPhoto(photo.rel_path, Outcome.UNREADABLE, UnreadableFileError.code, said)
            )
            return None

    def _offer(self, photos: Sequence[tuple[Photo, bytes]]) -> None:
        if not photos:
            return
        wanted = photos if self._redoing is None else self._redoing.wanted(photos)
        if self._redoing is not None and self._redoing.only:
            for _ in range(len(photos) - len(wanted)):
                self._outcomes.settle(Outcome.ELSEWHERE)
            photos = wanted
        for photo, content in photos:
            self._by_content[content].append(photo)
        if wanted:
            self._claims.enqueue([content for _, content in wanted])

    # What is worked on.

    def _refill(self, queue: WorkQueue) -> bool:
        """Claim what the decoders are about to need; whether there was something."""
        if self._alone or queue.waiting() >= READY:
            self._alone = self._alone and not queue.idle()
            return False
        contents = self._claims.claim(self._passed)
        self._hand_out(queue, contents)
        if not self._held.issuperset(contents):
            self._claims.give_back(except_for=self._held)
        return bool(contents)

    def _hand_out(self, queue: WorkQueue, contents: Sequence[bytes]) -> None:
        for content in contents:
            if content in self._held:  # we were taken for dead meanwhile, and have it still
                continue
            photos = [
                photo
                for leader in self._by_content.get(content, ())
                for photo in (leader, *self._raw_of.get(leader.rel_path, ()))
            ]
            if photos:
                self._held.add(content)
                self._taken.add(content)
                queue.add(photos)
            else:  # it is not here any more, or not to be done by this worker
                self._passed.add(content)

    def _is_over(self, queue: WorkQueue) -> bool:
        """Whether nothing is left for anybody; what this worker could not settle is given back."""
        self._settle()
        self._passed.update(self._claims.give_back())
        self._held.clear()
        if alone := self._claims.claim(self._passed, deaths=ALONE_AFTER):
            self._alone = True
            self._hand_out(queue, alone)
            return False
        if blamed := self._claims.claim(self._passed, deaths=BLAMED_AFTER):
            self._blame(blamed)
            return False
        left = self._claims.left(self._passed)
        return not left.free and not left.leased

    def _blame(self, contents: Sequence[bytes]) -> None:
        """Record photos that three workers died of, so that no fourth one does."""
        for content in contents:
            for photo in self._by_content.get(content, ()):
                self._settling.blame(photo, from_key(content), WORKER_DIED)
                self._outcomes.fail(FailedPhoto(photo.rel_path, Outcome.MODEL_ERROR, *WORKER_DIED))
            self._passed.add(content)
        self._settle()

    def _tell_the_others(self) -> None:
        """Count what other workers did, and take over of it what is only here."""
        theirs = {
            photo.rel_path: (photo, content)
            for content, photos in self._by_content.items()
            for photo in photos
            if content not in self._passed and content not in self._taken
        }
        contents = {path: from_key(content) for path, (_, content) in theirs.items()}
        found = self._settling.of_others(contents)
        for rel_path, (photo, content) in theirs.items():
            raws = self._raw_of.get(rel_path, ())
            if rel_path not in found:
                for _ in (photo, *raws):
                    self._outcomes.settle(Outcome.ELSEWHERE)
                continue
            found[rel_path](photo, from_key(content), SAME_BYTES)
            self._outcomes.settle(Outcome.COPIED)
            for raw in raws:
                if (own := self._hash(raw)) is not None:
                    found[rel_path](raw, from_key(own), SAME_SHOT)
                    self._outcomes.settle(Outcome.COPIED)
        self._settle()

    def _settle(self) -> None:
        begun = time.monotonic()
        self._settling.settle()
        now = time.monotonic()
        self._settle_again_at = now + (now - begun) * (1 / SETTLING_SHARE - 1)

    def _settle_now_and_then(self) -> None:
        if time.monotonic() > self._settle_again_at and self._settling.has_news():
            self._settle()


def _overdue() -> UnreadableFileError:
    return UnreadableFileError("the disk does not answer")

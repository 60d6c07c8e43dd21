"""Feeds the pipeline of a run with photos that were claimed from the library's server.

One thread does all that the server is asked for: it says that this worker lives, brings what the
journal has (which settles claims), and claims as many photos as the decoders are about to take. The
journal is written first, by the pipeline, as in every run; the server only follows it.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from picture_captioner.engines.ceilings import SharedBudget
from picture_captioner.engines.claims import ALONE_AFTER, BLAMED_AFTER, Claims, SeenFile
from picture_captioner.engines.server import Server
from picture_captioner.errors import PhotoSkipped, Status, UnreadableFileError
from picture_captioner.journal import Journal, Record, RecordError, TagDecisions, utc_now
from picture_captioner.library import captions_of, from_key, index_words, sync, to_key
from picture_captioner.pipeline.decoding.opening import Opener
from picture_captioner.pipeline.recording.outcomes import FailedPhoto, Outcome, Outcomes
from picture_captioner.pipeline.recording.records import (
    SAME_BYTES,
    SAME_SHOT,
    SeenBytes,
    copied_record,
)
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.work_queue import WorkQueue

READY = 16
"""Photos that lie ready for the decoders; fewer, and more are claimed."""

SYNC_SHARE = 0.2
"""Of the time is spent on bringing records to the server, at most: a busy one gets them in larger
pieces. What it does not know yet others ask about again if we die."""

POLL_SECONDS = 0.02
WAIT_SECONDS = 2.0
"""How long a worker that has nothing to do waits, at most, before it asks again."""

READ_BYTES, READ_PHOTOS = 64 << 20, 64
"""At most so much is read for hashes before the decoders are looked after again."""

OPEN_SECONDS = 60.0


class Feeder:
    """What a worker's feeding thread does; `end` is for the main thread, afterwards.

    Args:
        pending: the photos that the worker's own journal does not have.
        shots: RAW files and the photos taken with them: claimed, and captioned, together.
    """

    def __init__(
        self,
        server: Server,
        claims: Claims,
        budget: SharedBudget,
        journal: Journal,
        photos_dir: Path,
        pending: Sequence[Photo],
        shots: Mapping[str, Photo],
        identity: Identity,
        outcomes: Outcomes,
        *,
        follow_links: bool = False,
    ) -> None:
        self._server = server
        self._claims = claims
        self.budget = budget
        self._journal = journal
        self._photos_dir = photos_dir
        self._opener = Opener(None if follow_links else photos_dir)
        self._identity = identity
        self._outcomes = outcomes
        self.shared_by: Callable[[int], None] = lambda _: None
        """Told how many workers share the rate of the service."""
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
        self._passed: set[bytes] = set()
        self._sync_again_at = 0.0
        self._synced_records = -1
        self._alone = False

    def feed(self, queue: WorkQueue) -> None:
        """Hand out what can be claimed, until nothing is left that anybody works on.

        Raises:
            FatalError: the server stays away, or the photos directory does.
        """
        self._sync()
        self._claims.register()
        self._take_what_was_seen()
        wait = POLL_SECONDS
        while not queue.stopped:
            if (live := self._claims.lives(self._held)) is not None:
                self.shared_by(live)
            more = self._read_some()
            busy = self._refill(queue) or more
            self._sync_now_and_then()
            if busy or not queue.idle():
                wait = POLL_SECONDS
            elif self._is_over(queue):
                self._tell_the_others()
                return
            else:
                wait = min(2 * wait, WAIT_SECONDS)
            if not busy:
                self._sleep(queue, wait)

    def end(self) -> None:
        """Bring what is in the journal, and let go of everything."""
        self._opener.close()
        self._sync()
        self._server.run(partial(index_words, tags=TagDecisions.beside(self._journal.path)))
        self.budget.end()
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

    def _offer(self, photos: Iterable[tuple[Photo, bytes]]) -> None:
        contents = []
        for photo, content in photos:
            self._by_content[content].append(photo)
            contents.append(content)
        if contents:
            self._claims.enqueue(contents)

    # What is worked on.

    def _refill(self, queue: WorkQueue) -> bool:
        """Claim what the decoders are about to need; whether there was something."""
        if self._alone or queue.waiting() >= READY:
            self._alone = self._alone and not queue.idle()
            return False
        contents = self._claims.claim(self._passed)
        self._hand_out(queue, contents)
        return bool(contents)

    def _hand_out(self, queue: WorkQueue, contents: Sequence[bytes]) -> None:
        for content in contents:
            photos = [
                photo
                for leader in self._by_content.get(content, ())
                for photo in (leader, *self._raw_of.get(leader.rel_path, ()))
            ]
            if photos:
                self._held.add(content)
                queue.add(photos)
            else:  # it is not here any more
                self._passed.add(content)

    def _is_over(self, queue: WorkQueue) -> bool:
        """Whether nothing is left for anybody; what this worker could not settle is given back."""
        self._sync()
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
                error = RecordError(
                    "worker_died",
                    f"{BLAMED_AFTER} workers died while they had this photo, the last time it was "
                    "the only one",
                )
                self._journal.append(_died(photo, content, error, self._identity))
                self._outcomes.fail(FailedPhoto(photo.rel_path, Outcome.MODEL_ERROR, *error))
            self._passed.add(content)
        self._sync()

    def _tell_the_others(self) -> None:
        """Count what other workers did; captions of photos that only this machine has are copied.

        Those have the content of a photo that another machine captioned under its name there.
        """
        missing = {
            photo.rel_path: (photo, content)
            for content, photos in self._by_content.items()
            for photo in photos
            if content not in self._passed
            and not self._journal.is_done(photo.rel_path, placeholders_count=True)
        }
        contents = [from_key(content) for _, content in missing.values()]
        find = partial(captions_of, rel_paths=list(missing), contents=contents)
        found = {} if self._identity.placeholder else self._server.run(find)
        for rel_path, (photo, content) in missing.items():
            raws = self._raw_of.get(rel_path, ())
            if rel_path in found:
                self._copy(photo, content, found[rel_path], SAME_BYTES)
            for raw in raws if rel_path in found else ():
                self._copy(raw, self._hash(raw), found[rel_path], SAME_SHOT)
            for _ in (photo, *raws) if rel_path not in found else ():
                self._outcomes.settle(Outcome.ELSEWHERE)
        self._sync()

    def _copy(self, photo: Photo, content: bytes | None, source: Record, because: str) -> None:
        if content is None:
            return
        bytes_of = SeenBytes(from_key(content), photo.size, photo.mtime_ns)
        self._journal.append(copied_record(photo, bytes_of, source, because))
        self._outcomes.settle(Outcome.COPIED)

    # What the server is told.

    def _sync_now_and_then(self) -> None:
        news = self._journal.written != self._synced_records
        if news and time.monotonic() > self._sync_again_at:
            self._sync()

    def _sync(self) -> None:
        self._synced_records, begun = self._journal.written, time.monotonic()
        synced = sync(self._server.run, self._journal.path)
        self.budget.settled(synced.requests)
        now = time.monotonic()
        self._sync_again_at = now + (now - begun) * (1 / SYNC_SHARE - 1)


def _overdue() -> UnreadableFileError:
    return UnreadableFileError("the disk does not answer")


def _died(photo: Photo, content: bytes, error: RecordError, identity: Identity) -> Record:
    return Record(
        rel_path=photo.rel_path,
        caption=None,
        status=Status.ERROR_MODEL,
        error=error,
        placeholder=identity.placeholder,
        backend=identity.backend,
        model=identity.model,
        prompt_sha256=identity.prompt_for(photo.rel_path, from_key(content)),
        content_sha256=from_key(content),
        size=photo.size,
        mtime_ns=photo.mtime_ns,
        created_at=utc_now(),
    )

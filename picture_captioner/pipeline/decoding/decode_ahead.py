"""The decoders' side of a run: from a pending photo to clean pixels, a copy, or a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from picture_captioner.errors import (
    CorruptImageError,
    DecoderCrashError,
    DecoderTimeoutError,
    PhotoSkipped,
    UnreadableFileError,
)
from picture_captioner.image_loader.images import LoadedImage
from picture_captioner.journal.record import Entry
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.decoding.messages import LoadRequest
from picture_captioner.pipeline.decoding.opening import DiskWatch
from picture_captioner.pipeline.dedup import ContentIndex, SameShots
from picture_captioner.pipeline.recording.recorder import Recorder
from picture_captioner.pipeline.selecting.selection import (
    SelectionRules,
    Source,
    Sources,
    only_content_may_differ,
)
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.threads import ThreadGroup
from picture_captioner.pipeline.work_queue import Buffer, DecodedPhoto, Item, WorkQueue

if TYPE_CHECKING:
    from picture_captioner.pipeline.asking.service import ChosenBackend
    from picture_captioner.pipeline.recording.outcomes import Outcomes
    from picture_captioner.pipeline.runner import RunOptions


MakeDecoder = Callable[[Path | None], Decoder]
"""Makes a thread's decoder, which opens nothing outside of the given directory."""


def decoder_here(within: Path | None) -> Decoder:
    """A decoder process of this machine."""
    return Decoder(within=within)


@dataclass(slots=True)
class Known:
    """The content hashes for which a photo need not be decoded, as an answer to `in`.

    A set of them would be made anew for each photo, and where all files have one size (RAW, BMP) it
    would hold all that were captioned: the cost of a run would grow with the square of the photos.
    """

    content: ContentIndex
    size: int
    own: str | None
    anything: bool = False
    asked: str | None = None

    def __contains__(self, content_sha256: object) -> bool:
        self.asked = str(content_sha256)
        return (
            self.anything
            or content_sha256 == self.own
            or (
                isinstance(content_sha256, str) and self.content.is_known(self.size, content_sha256)
            )
        )


class Decoding:
    """What each decoder thread does, with a worker process of its own, and what it works with.

    `content` says who captions which bytes, `recorder` settles photos that need no backend.

    Args:
        queue: hands the photos out.
        pending, sources, rules: what was selected, and why.
        ready: where decoded photos wait.
    """

    def __init__(
        self,
        queue: WorkQueue,
        pending: Sequence[Photo],
        sources: Sources,
        chosen_backends: Sequence[ChosenBackend],
        journal: Journal,
        rules: SelectionRules,
        options: RunOptions,
        outcomes: Outcomes,
        ready: Buffer[DecodedPhoto],
    ) -> None:
        self.queue = queue
        self.content = ContentIndex(sources, () if rules.identity.placeholder else pending)
        self.recorder = Recorder(
            journal,
            self.content,
            queue,
            outcomes,
            dry_run=options.dry_run,
            not_before=options.not_before,
        )
        self.ready = ready
        self._options = options
        self._disk = DiskWatch(options.photos_dir, options.root)
        self._shots = SameShots(options.shots, journal.index, rules)
        self._unchanged_if = _unchanged_if(pending, journal, rules)
        qualities = {chosen.backend.ready_jpeg for chosen in chosen_backends}
        # A copy inside the file may show what was retouched away since: it is for this machine
        # alone. A dry run proves that the photos themselves decode.
        stays_here = all(chosen.backend.destination is None for chosen in chosen_backends)
        self._request = LoadRequest(
            suffix="",
            edge=options.edge,
            jpeg_quality=qualities.pop() if len(qualities) == 1 else None,
            allow_reduced=stays_here and not options.dry_run,
            accept_truncated=options.accept_truncated,
            for_backend=True,
        )

    def run_with(
        self,
        group: ThreadGroup,
        take: Callable[[], None],
        takers: int,
        feed: Callable[[], None] | None = None,
    ) -> bool:
        """Decode while so many threads take what is ready, until all is settled or it is stopped.

        Returns False if something did not end within the grace period.
        """
        facts = self._options.facts
        feeding = group.start(feed, 1) if feed is not None else []
        decoders = group.start(self.run, self._options.decoders)
        taking = group.start(take, takers)
        storing = group.start(facts.run, 1) if facts is not None else []
        fed = group.wait(feeding)
        ended = group.wait(decoders) and fed
        self.ready.close()
        if facts is not None:
            facts.close()
        return group.wait(taking) and group.wait(storing) and ended

    def run(self) -> None:
        """Decode until the feed has nothing more."""
        within = None if self._options.follow_links else self._options.photos_dir
        with self._options.make_decoder(within) as decoder:
            while (item := self.queue.next()) is not None:
                self._decode(decoder, item)

    def _decode(self, decoder: Decoder, item: Item) -> None:
        leader = self._shots.leader(item.photo.rel_path)
        if leader is not None and self.queue.wait_for(item, leader.rel_path):
            return
        same_shot = self._shots.caption(item.photo.rel_path)
        known = self._known(item, anything=same_shot is not None)
        try:
            loaded = self._load(decoder, item, known)
        except (DecoderCrashError, DecoderTimeoutError) as error:
            if item.alone:
                self._corrupt(item, known, error)
            else:
                self.queue.suspect(item)
        except CorruptImageError as error:
            self._corrupt(item, known, error)
        except PhotoSkipped as error:
            self.recorder.skipped(item, error)
            self._disk.unreadable()
        else:
            self._disk.readable()
            self._route(item, loaded, same_shot)

    def _load(self, decoder: Decoder, item: Item, known: Known) -> LoadedImage:
        path, photo = self._options.photos_dir / item.photo.rel_path, item.photo
        facts, request = self._options.facts, replace(self._request, suffix=path.suffix)
        if known.anything:
            facts = None
        elif facts is not None and not facts.wants(photo):
            kept = facts.kept(decoder, photo, self._options.edge, known, request.jpeg_quality)
            if kept is not None:
                return kept
            facts = facts if facts.keeps else None
        if facts is None:
            return decoder.loaded(path, request, known).loaded
        begun = time.perf_counter()
        examined = decoder.loaded(path, replace(request, examine=True, keep=facts.keeps), known)
        facts.found(photo, examined, time.perf_counter() - begun)
        return examined.loaded

    def _corrupt(self, item: Item, known: Known, error: CorruptImageError) -> None:
        if (facts := self._options.facts) is not None and known.asked is not None:
            facts.undecodable(item.photo, known.asked, error)
        self.recorder.corrupt(item, error)

    def _known(self, item: Item, *, anything: bool) -> Known:
        own = self._unchanged_if.get(item.photo.rel_path)
        sha256 = own.entry.content_sha256 if own else None
        return Known(self.content, item.photo.size, sha256, anything)

    def _route(self, item: Item, loaded: LoadedImage, same_shot: Entry | None) -> None:
        own = self._unchanged_if.get(item.photo.rel_path)
        if own is not None and own.entry.content_sha256 == loaded.content_sha256:
            self.recorder.copied(item, loaded, own)
            return
        if same_shot is not None:
            self.recorder.same_shot(item, loaded, same_shot)
            return
        claim = self.content.claim(item, loaded.size, loaded.content_sha256)
        if isinstance(claim, Source):
            self.recorder.copied(item, loaded, claim)
        elif claim and loaded.image is not None:
            loaded.image.info["full_size"] = (loaded.width, loaded.height)
            self.ready.put(DecodedPhoto(item, loaded, loaded.image))
        elif claim:  # another size than the walk saw: its source was looked for under that one
            self.recorder.skipped(item, UnreadableFileError("the file changed during the run"))


def _unchanged_if(
    pending: Sequence[Photo], journal: Journal, rules: SelectionRules
) -> dict[str, Source]:
    """Photos whose file looks changed, with the record that still holds if its bytes did not."""
    found: dict[str, Source] = {}
    for photo in pending:
        if entry := only_content_may_differ(journal.index.fold(photo.rel_path), rules):
            found[photo.rel_path] = Source(entry, moved=False)
    return found

"""Photos that the backend had when the whole process died: the suspect, and the guilty.

One death says little: a reboot and a `kill -9` leave the same notes as the OOM killer. So photos
that were there come after all others, and those that were there twice are tried alone at the very
end, one at a time. Most come through and are cleared. A photo is guilty if the process died with
it three times, the last time with nothing else under way: once alone is enough if that was a crash,
which no reboot looks like, else three times. It then gets a record, and is passed over like any
other failure. That is at most five deaths; run_loop.sh goes on meanwhile, because whatever is not
guilty is captioned between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from picture_captioner.errors import ModelError, Status
from picture_captioner.journal import (
    Entry,
    Journal,
    JournalIndex,
    Record,
    RecordError,
    Sent,
    Suspicion,
    parse_time,
    utc_now,
)
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.selecting.walk import Photo

CODE = "process_died"
SUSPECT_AFTER = 2
GUILTY_AFTER = 3
ALONE_WITHOUT_TRACE = 3
"""The OOM killer leaves no trace either; nobody pulls the plug on the same photo three times."""


@dataclass(frozen=True)
class Charge:
    """The deaths of one content, whichever of its copies the backend had."""

    deaths: int
    alone: int
    last: Suspicion

    @property
    def proved(self) -> bool:
        """Whether the last death was with this photo alone, and no accident."""
        return self.last.last_alone and (self.last.crashed or self.alone >= ALONE_WITHOUT_TRACE)


class Deaths:
    """What is held against the photos of a run. With nothing in it, it is false."""

    def __init__(
        self,
        suspicions: Iterable[Suspicion] = (),
        convicted: Mapping[str, str] | None = None,
        retried: Iterable[str] = (),
    ) -> None:
        """What is known.

        Args:
            suspicions: the open ones, against what this backend and model had.
            convicted: path to content of photos whose verdict stands in the journal.
            retried: those of them that this run takes all the same: on trial from the start.
        """
        self._charges: dict[str, Charge] = {}
        self._noted: dict[str, Sent] = {}
        for suspicion in sorted(suspicions, key=lambda s: s.died_at):
            self._charge(suspicion)
        contents = dict(convicted or {})
        self._retried = {path: contents[path] for path in retried}
        self._tried_again = frozenset(self._retried.values())
        self._convicted = frozenset(contents.values()) - self._tried_again

    def __bool__(self) -> bool:
        return bool(self._charges or self._retried or self._convicted)

    def _charge(self, suspicion: Suspicion) -> None:
        photo = suspicion.photo
        self._noted[photo.rel_path] = photo
        deaths, alone = suspicion.deaths, suspicion.alone
        if before := self._charges.get(photo.content_sha256):
            deaths, alone = deaths + before.deaths, alone + before.alone
        self._charges[photo.content_sha256] = Charge(deaths, alone, suspicion)

    def of_content(self, sha256: str) -> int:
        """How often the process died with these bytes; a verdict that is tried again counts 2."""
        charge = self._charges.get(sha256)
        prior = SUSPECT_AFTER if sha256 in self._tried_again else 0
        return prior + (charge.deaths if charge else 0)

    def of(self, photo: Photo) -> int:
        """The same for a photo, as long as its file is what it was."""
        content = self._content(photo)
        return self.of_content(content) if content else 0

    def _content(self, photo: Photo) -> str | None:
        noted = self._noted.get(photo.rel_path)
        if noted and (noted.size, noted.mtime_ns) == (photo.size, photo.mtime_ns):
            return noted.content_sha256
        return self._retried.get(photo.rel_path)

    def on_trial(self, photo: Photo) -> bool:
        """Whether the backend is to have this photo with nothing else under way."""
        return self.of(photo) >= SUSPECT_AFTER

    def is_suspect(self, sha256: str) -> bool:
        """The same for bytes: of a copy, or of a photo that was moved."""
        return self.of_content(sha256) >= SUSPECT_AFTER

    def ordered(self, photos: Sequence[Photo]) -> list[Photo]:
        """Whatever the process died with comes last, with the fewest deaths first."""
        return sorted(photos, key=self.of)

    def verdict(self, sha256: str) -> ModelError | None:
        """What is to be recorded about these bytes; None as long as they are not guilty."""
        charge = self._charges.get(sha256)
        if charge and charge.proved and self.of_content(sha256) >= GUILTY_AFTER:
            how = "in a crash" if charge.last.crashed else "killed without a trace, as for memory"
            times = f"{charge.deaths} times" if charge.deaths > 1 else "once more"
            return ModelError(
                f"the program died {times} while the backend had this photo, the last time with "
                f"nothing else under way ({how})",
                code=CODE,
            )
        if sha256 in self._convicted:
            return ModelError("the program died with a photo of the same bytes", code=CODE)
        return None

    def sentence(self, photo: Photo) -> tuple[str, ModelError] | None:
        """The content of a photo and the verdict on it, if it is guilty."""
        content = self._content(photo)
        error = self.verdict(content) if content else None
        return (content, error) if content and error else None


def find_deaths(
    journal: Journal,
    suspicions: Iterable[Suspicion],
    pending: Sequence[Photo],
    identity: Identity,
) -> Deaths:
    """What the notes and the journal hold against photos, as far as it is about this model."""
    same = [s for s in suspicions if (s.backend, s.model) == (identity.backend, identity.model)]
    convicted = _convicted(journal, pending, identity)
    retried = [photo.rel_path for photo in pending if photo.rel_path in convicted]
    return Deaths(same, convicted, retried)


def settled(suspicions: Iterable[Suspicion], index: JournalIndex) -> list[Suspicion]:
    """Those whose photo has got a record since."""
    return [s for s in suspicions if _recorded_since(index.entries.get(s.photo.rel_path), s)]


def _recorded_since(entry: Entry | None, suspicion: Suspicion) -> bool:
    if entry is None or entry.created_at is None:
        return False
    if (entry.backend, entry.model) != (suspicion.backend, suspicion.model) and not entry.success:
        return False
    try:
        return parse_time(entry.created_at) >= parse_time(suspicion.died_at)
    except ValueError:
        return False


def _convicted(journal: Journal, pending: Sequence[Photo], identity: Identity) -> dict[str, str]:
    """Path to content of photos that were recorded as guilty and may have a copy among these."""
    sizes = {photo.size for photo in pending}
    return {
        entry.rel_path: entry.content_sha256
        for entry in journal.index.entries.values()
        if entry.status is Status.ERROR_MODEL
        and entry.content_sha256 is not None
        and entry.size in sizes
        and identity.same_model(entry)
        and _is_verdict(journal.read_record(entry))
    }


def _is_verdict(record: Record) -> bool:
    return record.error is not None and record.error.code == CODE


def died_record(photo: Photo, sha256: str, error: ModelError, identity: Identity) -> Record:
    """The record of a photo that is guilty."""
    return Record(
        rel_path=photo.rel_path,
        caption=None,
        status=error.status,
        error=RecordError.of(error),
        placeholder=identity.placeholder,
        backend=identity.backend,
        model=identity.model,
        prompt_sha256=identity.prompt_for(photo.rel_path, sha256),
        content_sha256=sha256,
        size=photo.size,
        mtime_ns=photo.mtime_ns,
        created_at=utc_now(),
    )

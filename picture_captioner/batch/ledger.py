"""The job ledger, `captions.jobs.jsonl`, beside the journal: what was promised to which provider.

A job is on the disk before it is sent, with its photos; then that it is being created, then the
provider's id, then what became of it. A process may be killed between any two of these: the last
row says what has to be found out before a photo may be sent again.
"""

from __future__ import annotations

import enum
import hashlib
import os
import secrets
import socket
import uuid
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from picture_captioner.errors import count
from picture_captioner.journal.append_only import real_journal_path
from picture_captioner.journal.record import is_rel_path, parse_time, utc_now
from picture_captioner.journal.rows import RowFile
from picture_captioner.pipeline.selecting.walk import Photo

_PHOTOS_A_ROW = 500
"""A row of them is 150 KB, and the longest line that is read is 16 MiB."""


class JobState(enum.StrEnum):
    """How far a job is."""

    INTENT = "intent"
    """Its photos are chosen; nothing that costs was sent."""
    CREATING = "creating"
    """The request that creates it was sent, and no id came back yet."""
    CREATED = "created"
    ENDED = "ended"
    """The provider is through with it; its answers are to be collected."""
    COLLECTED = "collected"
    """Every answer is in the journal; the provider still has the files."""
    DELETED = "deleted"
    ABANDONED = "abandoned"
    """It was never created, or nothing of it was answered: its photos are pending again."""
    IGNORED = "ignored"
    """Somebody gave it up."""


OUT = frozenset({JobState.INTENT, JobState.CREATING, JobState.CREATED, JobState.ENDED})
"""Jobs whose photos no run may send."""


class AskedPhoto(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A photo in a job: what its record will say of the file. `n` is its number in the job.

    `told`: the facts and tags that the question named; other names in the answer are made up.
    `blank`: the picture was black, white or of one colour, so that an answer may say so.
    """

    n: int
    rel_path: str
    content_sha256: str
    size: int
    mtime_ns: int
    prompt_sha256: str
    truncated: bool = False
    blank: bool = False
    told: tuple[str, ...] = ()


class Copy(msgspec.Struct, kw_only=True):
    """Another photo with the bytes of photo `n`."""

    n: int
    rel_path: str
    mtime_ns: int


@dataclass
class Job:
    """A job as its rows add up: each fact as it was last said."""

    id: str
    facts: dict[str, Any] = field(default_factory=dict)
    photos: dict[int, AskedPhoto] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    rows_had: int = 0
    """Photos that its rows have, or had before they were forgotten."""

    @property
    def state(self) -> JobState:
        """How far it is."""
        return JobState(self.facts["state"])

    @property
    def is_out(self) -> bool:
        """Whether its photos are not to be sent otherwise."""
        return self.state in OUT

    @property
    def lacking(self) -> int:
        """Photos that were sent, and that no row has: lines are damaged or were taken out."""
        sent = self.facts.get("photos")
        return max(sent - self.rows_had, 0) if isinstance(sent, int) else 0

    @property
    def remote_id(self) -> str:
        """The provider's name of it; empty before that is known."""
        return str(self.facts.get("remote_id") or "")

    @property
    def paths(self) -> Iterator[str]:
        """All photos that its answers are for."""
        yield from (photo.rel_path for photo in self.photos.values())
        yield from (copy.rel_path for copy in self.copies)

    def photo_of(self, custom_id: str) -> AskedPhoto | None:
        """The photo behind the name that a request had; None for a name of nobody's."""
        job, _, number = custom_id.rpartition("-")
        known = number.isdecimal() and len(number) < 10
        return self.photos.get(int(number)) if job == self.id and known else None

    def seconds_since(self, now: float) -> float:
        """How long ago its last state was written."""
        return now - parse_time(self.facts["at"]).timestamp()


def custom_id(job_id: str, n: int) -> str:
    """The name of a photo's request: of the ledger and nothing of the photo, in any alphabet."""
    return f"{job_id}-{n}"


def this_machine() -> str:
    """A few letters that tell this machine from others, and not what it is called."""
    name = f"{socket.gethostname()}/{uuid.getnode()}/{os.getuid()}"
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]


class JobLedger(RowFile):
    """The ledger, open for writing. A job's rows add up; none replaces another."""

    noun = "job ledger"
    setting = "--captions-jsonl FILE (it lies beside the journal)"
    key: ClassVar[str] = "job"
    last_wins = False

    @classmethod
    def beside(cls, journal: Path) -> JobLedger:
        """The ledger of a journal, begun with an id of its own if it is new."""
        ledger = cls(ledger_path(journal))
        if not any("ledger" in row for row in ledger.rows):
            name = f"pc{secrets.token_hex(4)}"
            ledger.put({"job": name, "ledger": name, "at": utc_now()})
        return ledger

    @property
    def name(self) -> str:
        """What all its jobs' ids begin with; a copy on another machine has the same."""
        return next(str(row["ledger"]) for row in self.rows if "ledger" in row)

    @property
    def begun_at(self) -> float:
        """When it was begun, in seconds since 1970."""
        return parse_time(next(row["at"] for row in self.rows if "ledger" in row)).timestamp()

    def new_job_id(self) -> str:
        """An id that no other job has, on any machine: `pc` + 8 + `-` + 10 hexadecimal digits."""
        return f"{self.name}-{secrets.token_hex(5)}"

    def jobs(self) -> dict[str, Job]:
        """All jobs, in the order in which they were made."""
        return add_up(self.rows)

    def ignored(self) -> set[str]:
        """The providers' ids of jobs that are none of ours, as somebody or their answers said."""
        return {str(row["not_ours"]) for row in self.rows if "not_ours" in row}

    def disown(self, remote_id: str) -> None:
        """Note that a provider's job is none of this ledger."""
        self.put({"job": self.name, "not_ours": remote_id, "at": utc_now()})

    def intend(
        self, job_id: str, photos: Iterable[AskedPhoto], copies: Iterable[Copy], **facts: Any
    ) -> None:
        """Write a job down, in one go, before anything of it is sent."""
        plain = [msgspec.to_builtins(photo) for photo in photos]
        rows: list[dict[str, Any]] = [
            {"job": job_id, "asked": plain[first : first + _PHOTOS_A_ROW]}
            for first in range(0, len(plain), _PHOTOS_A_ROW)
        ]
        rows += [self._copies_row(job_id, copies)] if copies else []
        state = {"state": str(JobState.INTENT), "by": this_machine(), "at": utc_now()}
        # The state last: what is torn before it is no job at all.
        self.put(*rows, {"job": job_id, **facts, "photos": len(plain), **state})

    def add_copies(self, job_id: str, copies: Iterable[Copy]) -> None:
        """More photos with the bytes of some in a job that is out."""
        self.put(self._copies_row(job_id, copies))

    def bring_in(self, rows: Sequence[dict[str, Any]], only: str | None = None) -> list[Job]:
        """Take over jobs from the rows of another ledger, or one of them; what was taken over.

        Jobs that are done with over there are left out, unless this ledger believes them to be out.
        """
        ours, theirs = self.jobs(), add_up(rows)
        progress = list(JobState)
        taken = []
        for job in theirs.values():
            here = ours.get(job.id)
            if only not in {None, job.id}:
                continue
            if here is None and (job.is_out or job.state is JobState.COLLECTED or only):
                self.put(*(row for row in rows if row["job"] == job.id))
            elif here is None or progress.index(job.state) <= progress.index(here.state):
                continue
            elif job.state is JobState.ABANDONED and here.remote_id:
                continue  # nobody over there has seen it, and here it has a name
            else:
                self.put({"job": job.id, **job.facts})
            taken.append(job)
        return taken

    @staticmethod
    def _copies_row(job_id: str, copies: Iterable[Copy]) -> dict[str, Any]:
        return {"job": job_id, "copies": [msgspec.to_builtins(copy) for copy in copies]}

    def note(self, job_id: str, state: JobState, **facts: Any) -> None:
        """Write down how far a job is; it is on the disk when this returns."""
        self.put({"job": job_id, **facts, "state": str(state), "at": utc_now()})

    @classmethod
    def forget(cls, path: Path, paths: set[str]) -> None:
        """Take photos out of every job; their answers, if any come, are for nobody."""

        def kept(row: Mapping[str, Any]) -> Mapping[str, Any]:
            lists: dict[str, Any] = {
                name: [one for one in row[name] if one.get("rel_path") not in paths]
                for name in ("asked", "copies")
                if name in row
            }
            if "asked" in row:
                gone = len(row["asked"]) - len(lists["asked"])
                lists["forgotten"] = row.get("forgotten", 0) + gone
            if "again" in row:
                lists["again"] = [path for path in row["again"] if path not in paths]
            return {**row, **lists}

        if path.exists():
            cls.rewrite(path, kept)


def ledger_path(journal: Path) -> Path:
    """Where the ledger of a journal is: `captions.jobs.jsonl` beside `captions.jsonl`."""
    real = real_journal_path(journal)
    return real.with_name(f"{real.stem}.jobs.jsonl")


def read_jobs(journal: Path) -> dict[str, Job]:
    """The jobs of a journal, for who only looks."""
    rows, _ = JobLedger.read(ledger_path(journal))
    return add_up(rows)


def add_up(rows: Iterable[Mapping[str, Any]]) -> dict[str, Job]:
    """Jobs from rows. A row that makes no sense is passed over: another version may know it."""
    jobs: dict[str, Job] = {}
    for row in rows:
        job = jobs.setdefault(row["job"], Job(row["job"]))
        try:
            asked = msgspec.convert(row.get("asked", []), list[AskedPhoto])
            copies = msgspec.convert(row.get("copies", []), list[Copy])
            state = {"state": JobState(row["state"]), "at": row["at"]} if "state" in row else {}
            parse_time(state.get("at", "2026-01-01"))
        except (msgspec.ValidationError, ValueError, KeyError, TypeError):
            continue
        forgotten = row.get("forgotten", 0)
        job.rows_had += len(asked) + (forgotten if isinstance(forgotten, int) else 0)
        job.photos.update({photo.n: photo for photo in asked if is_rel_path(photo.rel_path)})
        job.copies += [copy for copy in copies if is_rel_path(copy.rel_path)]
        plain = {k: v for k, v in row.items() if k not in {"job", "asked", "copies", "forgotten"}}
        job.facts.update({**plain, **state})
    return {name: job for name, job in jobs.items() if "state" in job.facts}


def to_ask_again(jobs: Mapping[str, Job]) -> frozenset[str]:
    """Photos whose answer was of no use, for the next job to ask about; each one once."""
    wanted = Counter(path for job in jobs.values() for path in set(job.facts.get("again") or ()))
    return frozenset(path for path, times in wanted.items() if times == 1)


def lacks_photos(job: Job) -> str:
    """What to say of a job whose photos the ledger does not have all."""
    return (
        f"the job ledger lacks {count(job.lacking)} of job {job.id}: lines of it are damaged, or "
        "were taken out. Put back a copy of it (captions.jobs.jsonl beside the journal)"
    )


def photos_out(jobs: Mapping[str, Job]) -> dict[str, str]:
    """The job of each photo that is out in one, by its path."""
    return {path: job.id for job in jobs.values() if job.is_out for path in job.paths}


def reserved(jobs: Mapping[str, Job]) -> tuple[float, int]:
    """US dollars and requests that jobs which are out may still bill."""
    out = [job for job in jobs.values() if job.is_out]
    dollars = sum(float(job.facts.get("reserved_usd") or 0.0) for job in out)
    return dollars, sum(len(job.photos) for job in out)


def not_out(photos: Iterable[Photo], out: Container[str]) -> list[Photo]:
    """The photos that no job holds."""
    return [photo for photo in photos if photo.rel_path not in out]

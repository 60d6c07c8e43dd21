"""What a run would be, from headers and from the speed this journal has seen."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from picture_captioner.errors import CaptionerError
from picture_captioner.journal import Entry, parse_time
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.selecting.walk import Photo

MAX_HEADERS = 2_000
"""Headers read at most: the mean of 2,000 is within a few percent, and it takes seconds."""

RECENT_RECORDS = 2_000
LONGEST_GAP_SECONDS = 60.0
"""A longer pause between two records is a night between two runs, not a slow photo."""


@dataclass
class Dimensions:
    """Upright sizes in pixels, as the headers of a sample say; `unreadable` had none to read."""

    sampled: int = 0
    megapixels: float = 0.0
    widest: tuple[int, int] = (0, 0)
    unreadable: int = 0
    sizes: list[tuple[int, int]] = field(default_factory=list)


def read_dimensions(
    photos_dir: Path, photos: Sequence[Photo], *, follow_links: bool = False
) -> Dimensions:
    """Read the headers of at most 2,000 photos, evenly spread; `follow_links` as in the walk."""
    step = max(len(photos) / MAX_HEADERS, 1.0)
    sample = [photos[int(i * step)] for i in range(min(len(photos), MAX_HEADERS))]
    with Decoder(within=None if follow_links else photos_dir) as loader:
        headers = loader.read_headers([photos_dir / photo.rel_path for photo in sample])
    found = Dimensions()
    for header in headers:
        if isinstance(header, CaptionerError):
            found.unreadable += 1
        else:
            found.sizes.append((header.width, header.height))
    found.sampled = len(found.sizes)
    if found.sizes:
        found.megapixels = sum(w * h for w, h in found.sizes) / len(found.sizes) / 1e6
        found.widest = max(found.sizes, key=lambda size: size[0] * size[1])
    return found


def photos_per_second(entries: Iterable[Entry], identity: Identity) -> float | None:
    """The speed of this backend and model in this journal; None when it has not run yet."""
    recent = _recent(entries, identity)
    times = sorted(time for entry in recent if (time := _seconds(entry)) is not None)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    worked = [gap for gap in gaps if gap <= LONGEST_GAP_SECONDS]
    return len(worked) / sum(worked) if sum(worked) > 0 else None


def cost_per_photo(entries: Iterable[Entry], identity: Identity) -> float | None:
    """US dollars for a photo, on average, by this backend, model and prompt in this journal.

    Of the recent records that have a cost; failures that were billed are among them. None when
    there is none.
    """
    asked = asked_alike(entries, identity)
    costs = [entry.cost_usd for entry in asked if entry.cost_usd is not None]
    return sum(costs) / len(costs) if costs else None


def asked_alike(entries: Iterable[Entry], identity: Identity) -> list[Entry]:
    """The recent records by this backend, model and prompt that are no copies."""
    same_prompt = (entry for entry in entries if identity.same_prompt(entry))
    return _recent(same_prompt, identity)


def _recent(entries: Iterable[Entry], identity: Identity) -> list[Entry]:
    own = (entry for entry in entries if identity.same_model(entry) and entry.copied_from is None)
    return heapq.nlargest(RECENT_RECORDS, own, key=lambda entry: entry.offset)


def _seconds(entry: Entry) -> float | None:
    try:
        return parse_time(entry.created_at or "").timestamp()
    except ValueError:
        return None

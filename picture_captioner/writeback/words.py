"""What is to be written of a photo, in the terms of metadata: a description, keywords, people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from picture_captioner.journal.record import Record
from picture_captioner.metadata.claims import Metadata
from picture_captioner.metadata.told import clean, descriptions, is_camera_text, keywords
from picture_captioner.metadata.xmp_packet import Region
from picture_captioner.writeback.regions import own_regions

FIELDS = ("description", "title", "keywords", "alt", "people", "text")
"""What `--fields` may name; `text` (what is written in the picture) only when it is named."""
USUAL = FIELDS[:-1]

_LEVELS = re.compile(r"\s*[>|]\s*")


@dataclass(frozen=True)
class Words:
    """Words for one photo. A keyword is a path of its levels: ("Animal", "Dog")."""

    description: str = ""
    title: str = ""
    keywords: tuple[tuple[str, ...], ...] = ()
    alt: str = ""
    people: tuple[Region, ...] = ()
    text: str = ""

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in FIELDS)

    @property
    def flat(self) -> list[str]:
        """Each keyword's last level, once."""
        return list(dict.fromkeys(path[-1] for path in self.keywords))

    def joined(self, separator: str) -> list[str]:
        """Each keyword with all its levels."""
        return list(dict.fromkeys(separator.join(path) for path in self.keywords))


@dataclass(frozen=True)
class Own:
    """What stands inside the photo itself, and was there before us.

    `regions` is None where areas are named and it is not known where they are.
    """

    description: str = ""
    title: str = ""
    keywords: tuple[tuple[str, ...], ...] = ()
    regions: tuple[Region, ...] | None = ()


def own_words(metadata: Metadata) -> Own:
    """What somebody wrote into the photo, by the order in which readers look for it."""
    xmp, iptc = metadata.xmp, metadata.iptc
    described = descriptions(metadata.exif, xmp, iptc)
    titles = (xmp.get("dc:title"), iptc.get("ObjectName"))
    return Own(
        next((d for d in described if isinstance(d, str) and not is_camera_text(d)), ""),
        next((t for t in titles if isinstance(t, str) and t.strip()), ""),
        tuple(dict.fromkeys(keywords(xmp, iptc))),
        own_regions(metadata),
    )


def words_of(
    record: Record,
    fields: Iterable[str] = USUAL,
    people: Iterable[Region] = (),
    more_tags: Iterable[str] = (),
) -> Words:
    """The words of a captioned photo, those of `fields` alone."""
    wanted = set(fields)
    extra = record.extra

    def told(field: str, value: object) -> str:
        return clean(value) if field in wanted and isinstance(value, str) else ""

    paths = map(keyword_path, (*record.tags, *more_tags) if "keywords" in wanted else ())
    caption = record.caption
    return Words(
        description=told("description", caption),
        title=told("title", record.title),
        keywords=tuple(dict.fromkeys(path for path in paths if path)),
        alt=told("alt", extra.get("alt_text") or caption),
        people=tuple(people) if "people" in wanted else (),
        text=told("text", _text_of(extra.get("text"))),
    )


def keyword_path(text: str) -> tuple[str, ...]:
    """`Animal > Dog` as its levels; a slash is a part of a word, as in AC/DC."""
    return tuple(level for level in _LEVELS.split(clean(text)) if level)


def _text_of(value: Any) -> str:
    """What is written in the picture: a text, or the structure of `--fields full`."""
    if isinstance(value, dict):
        value = value.get("value")
    return value if isinstance(value, str) else ""

"""The owner of library.db: what is known of each photo besides its caption.

A cache and an index (docs/library.md): rebuilt from photos and journal at any time, never the
source of truth.

    store.py       `Library`: facts, thumbnails and vectors by content hash
    captions.py    full-text search, which follows the journal
    fusion.py      one ranking from words and vectors
    query.py       from what a person types to a query that FTS5 accepts
    facts.py       `PhotoFacts`
    faces.py       `Faces`: faces, clustering runs, whose each face is
    forgetting.py  photos out of every table and free page
    vectors.py     half-precision vectors by model and key
    database.py    the file: private, checked, moved aside when it is broken
    ledger.py      what each stage did to each photo
    schema.py      its tables, as numbered migrations
    migrating.py   from an older version to ours
    encoding.py    text that SQLite would not take
"""

from picture_captioner.library.captions import CaptionHit, Followed
from picture_captioner.library.database import fault_of
from picture_captioner.library.faces import Faces, FaceTable, Placed, RunRow, StoredFace
from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.fusion import fuse
from picture_captioner.library.ledger import (
    MAX_ATTEMPTS,
    StageHistory,
    StageRow,
    Standing,
    is_open,
    standing,
)
from picture_captioner.library.query import has_words
from picture_captioner.library.store import Library
from picture_captioner.metadata import TakenFrom

__all__ = [
    "MAX_ATTEMPTS",
    "CaptionHit",
    "FaceTable",
    "Faces",
    "Followed",
    "Library",
    "PhotoFacts",
    "Placed",
    "RunRow",
    "StageHistory",
    "StageRow",
    "Standing",
    "StoredFace",
    "TakenFrom",
    "fault_of",
    "fuse",
    "has_words",
    "is_open",
    "standing",
]

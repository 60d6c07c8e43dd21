"""The owner of library.db: what is known of each photo besides its caption.

A cache and an index (docs/library.md): rebuilt from photos and journal at any time, never the
source of truth.

    store.py       `Library`: facts, thumbnails and vectors by content hash
    captions.py    the full-text index, which follows the journal
    selection.py   `Selection`: what is asked for, and its grammar
    searching.py   from a selection to photos: words, filters, vectors in one ranking
    conditions.py  filters in SQL
    query.py       from words to expressions that FTS5 accepts
    stems.py       `dogs` finds `dog`, in 20 languages
    texts.py       what is written in photos
    tags.py        tags, of captions and of pictures
    told.py        what other programs and people say of photos; the surest time of each
    facts.py       `PhotoFacts`: width, time, place, ..., and the names of places
    faces.py       `Faces`: faces, and whose each is
    face_runs.py   `FaceRuns`: clustering runs, and which face is in which cluster
    forgetting.py  photos out of every table and free page
    clean_images.py  small clean copies of photos, in a folder beside the file
    vectors.py     half-precision vectors by model and key
    home.py        what a database has to be able to do
    database.py    the file: its transactions; file_access.py begins it, moves a broken one aside
    postgresql.py  a server: postgresql_access.py reaches it, postgresql_migrating.py prepares it
                   (postgresql_schema.py: its tables), postgresql_search.py finds words
                   and near vectors there
    copying.py     a library copied from one home to the other
    ledger.py      what each stage did to each photo
    syncing.py     journals of several machines into one library, on a server
    schema.py      its tables, as numbered migrations; text that SQLite would not take
    migrating.py   from an older version to ours; drops rows that this program never wrote
"""

from picture_captioner.library.captions import Followed, StoredCaption
from picture_captioner.library.clean_images import (
    CleanImages,
    forget_clean_images,
    kept_clean_images,
)
from picture_captioner.library.copying import opened_to_copy
from picture_captioner.library.face_runs import FaceRuns, RunRow
from picture_captioner.library.faces import Faces, FaceTable, Placed, StoredBody, StoredFace
from picture_captioner.library.facts import PhotoFacts, Place
from picture_captioner.library.file_access import fault_of, may_be_replaced
from picture_captioner.library.home import Connection, Database
from picture_captioner.library.ledger import (
    MAX_ATTEMPTS,
    StageHistory,
    StageRow,
    Standing,
    is_open,
    standing,
)
from picture_captioner.library.schema import from_key, to_key
from picture_captioner.library.searching import Hit, Hits, Lookups
from picture_captioner.library.selection import HAS, STATUSES, Selection, Term, checked
from picture_captioner.library.store import RESTART_SECONDS, Library
from picture_captioner.library.syncing import (
    CAPTION,
    InTransaction,
    Synced,
    captions_of,
    index_of_contents,
    index_words,
    journal_name,
    stage_of,
    sync,
)
from picture_captioner.library.tags import FACE_TAGS, TAGS, GivenTag, PhotoTag
from picture_captioner.library.texts import Words
from picture_captioner.metadata import TakenFrom

__all__ = [
    "CAPTION",
    "FACE_TAGS",
    "HAS",
    "MAX_ATTEMPTS",
    "RESTART_SECONDS",
    "STATUSES",
    "TAGS",
    "CleanImages",
    "Connection",
    "Database",
    "FaceRuns",
    "FaceTable",
    "Faces",
    "Followed",
    "GivenTag",
    "Hit",
    "Hits",
    "InTransaction",
    "Library",
    "Lookups",
    "PhotoFacts",
    "PhotoTag",
    "Place",
    "Placed",
    "RunRow",
    "Selection",
    "StageHistory",
    "StageRow",
    "Standing",
    "StoredBody",
    "StoredCaption",
    "StoredFace",
    "Synced",
    "TakenFrom",
    "Term",
    "Words",
    "captions_of",
    "checked",
    "fault_of",
    "forget_clean_images",
    "from_key",
    "index_of_contents",
    "index_words",
    "is_open",
    "journal_name",
    "kept_clean_images",
    "may_be_replaced",
    "opened_to_copy",
    "stage_of",
    "standing",
    "sync",
    "to_key",
]

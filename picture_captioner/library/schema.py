"""The tables of library.db.

Photos are known by the SHA-256 of their bytes; `files` says which path had which bytes when it
was last looked at. Paths and keys are kept as bytes: names need not be UTF-8.

`MIGRATIONS` are numbered by their place and only ever added to: number 1 makes the tables of an
empty file, each later one changes what its predecessor left. What was released is never edited
(tests/library/test_migrating.py knows the digest of each): files of that version exist.
"""

from __future__ import annotations

APPLICATION_ID = 0x50434343
"""Marks the file as ours in SQLite's header ("PCCC")."""

_PHOTOS_VECTORS_CAPTIONS = """
CREATE TABLE photos (
    content BLOB PRIMARY KEY,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    taken_at TEXT,
    camera TEXT,
    latitude REAL,
    longitude REAL,
    sharpness REAL,
    perceptual_hash INTEGER
) WITHOUT ROWID;

CREATE TABLE files (
    rel_path BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    content BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX files_by_content ON files (content);

CREATE TABLE thumbnails (content BLOB PRIMARY KEY, webp BLOB NOT NULL);

CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    dimension INTEGER NOT NULL,
    dtype TEXT NOT NULL
);
CREATE TABLE vectors (
    model INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    key BLOB NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (model, key)
);

CREATE TABLE captions (
    id INTEGER PRIMARY KEY,
    rel_path BLOB NOT NULL UNIQUE,
    placeholder INTEGER NOT NULL,
    content BLOB,
    title TEXT,
    caption TEXT,
    tags TEXT NOT NULL
);
CREATE INDEX captions_by_content ON captions (content);
CREATE VIRTUAL TABLE caption_words USING fts5 (
    title, caption, tags, tokenize = "unicode61 remove_diacritics 2", prefix = "2 3"
);
CREATE TABLE indexed_journal (only INTEGER PRIMARY KEY CHECK (only = 1), position TEXT NOT NULL);
"""

_WHICH_CAPTION_HOLDS = """
ALTER TABLE captions ADD COLUMN edited INTEGER NOT NULL DEFAULT 0;
ALTER TABLE captions ADD COLUMN withdrawn INTEGER NOT NULL DEFAULT 0;
DELETE FROM captions;
DELETE FROM caption_words;
DELETE FROM indexed_journal;
"""
"""An index by the older rule lacks captions whose redo failed: the journal is read again."""

_STAGES = """
CREATE TABLE stages (
    content BLOB NOT NULL,
    stage TEXT NOT NULL,
    version TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('done', 'failed')),
    attempts INTEGER NOT NULL,
    error TEXT,
    took REAL,
    at INTEGER NOT NULL,
    PRIMARY KEY (content, stage, version)
) WITHOUT ROWID;
INSERT INTO stages
    SELECT content, 'normalize', '1', 'done', 1, NULL, NULL, 0
    FROM photos JOIN thumbnails USING (content);
INSERT INTO stages SELECT content, 'metadata', '1', 'done', 1, NULL, NULL, 0 FROM photos;
INSERT INTO stages
    SELECT key, 'embed', identity, 'done', 1, NULL, NULL, 0
    FROM vectors JOIN models ON models.id = model JOIN photos ON photos.content = key;
"""

_WHAT_IS_WRITTEN = """
CREATE TABLE written (content BLOB PRIMARY KEY, metadata TEXT NOT NULL) WITHOUT ROWID;
"""
"""What is written in a photo: all of EXIF, XMP and IPTC as JSON (`metadata.Metadata`)."""

_FACES = """
CREATE TABLE faces (
    content BLOB NOT NULL,
    number INTEGER NOT NULL,
    x REAL NOT NULL,
    y REAL NOT NULL,
    width REAL NOT NULL,
    height REAL NOT NULL,
    score REAL NOT NULL,
    seen REAL NOT NULL,
    landmarks BLOB NOT NULL,
    vector BLOB NOT NULL,
    detector TEXT NOT NULL,
    recogniser TEXT NOT NULL,
    age BLOB,
    gender REAL,
    PRIMARY KEY (content, number)
) WITHOUT ROWID;
CREATE TABLE face_runs (
    id INTEGER PRIMARY KEY,
    created_at TEXT NOT NULL,
    recogniser TEXT NOT NULL,
    parameters TEXT NOT NULL,
    faces INTEGER NOT NULL,
    clusters INTEGER NOT NULL,
    noise INTEGER NOT NULL,
    active INTEGER NOT NULL,
    tree BLOB
);
CREATE TABLE face_clusters (
    run INTEGER NOT NULL REFERENCES face_runs (id) ON DELETE CASCADE,
    label INTEGER NOT NULL,
    birth REAL NOT NULL,
    persistence REAL NOT NULL,
    faces INTEGER NOT NULL,
    centroid BLOB,
    person TEXT,
    PRIMARY KEY (run, label)
) WITHOUT ROWID;
CREATE TABLE face_assignments (
    content BLOB NOT NULL,
    number INTEGER NOT NULL,
    label INTEGER NOT NULL,
    since INTEGER NOT NULL,
    core REAL,
    lambda REAL,
    outlier REAL,
    medoid INTEGER NOT NULL DEFAULT 0,
    status TEXT,
    person TEXT,
    cosine REAL,
    at INTEGER NOT NULL,
    PRIMARY KEY (content, number)
) WITHOUT ROWID;
CREATE INDEX face_assignments_by_person ON face_assignments (person);
"""
"""Faces as they were found, and whose they are by the active clustering run. What a human said of
them is not here but in people.jsonl. `since` marks those that came after the run."""

_ONE_SEARCH = """
ALTER TABLE captions ADD COLUMN status TEXT;
DROP TABLE caption_words;
CREATE VIRTUAL TABLE caption_words USING fts5 (
    title, caption, tags, text, more, path, stems,
    tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co M*'", prefix = "2 3"
);
CREATE TABLE caption_tags (
    rel_path BLOB NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (rel_path, tag)
) WITHOUT ROWID;
CREATE VIEW located AS
    SELECT rel_path, content FROM files UNION ALL
    SELECT rel_path, content FROM captions WHERE NOT EXISTS
        (SELECT 1 FROM files WHERE files.rel_path = captions.rel_path);
CREATE TABLE capture_times (
    rel_path BLOB PRIMARY KEY, content BLOB, taken_at TEXT
) WITHOUT ROWID;
CREATE INDEX capture_times_by_content ON capture_times (content);
CREATE TRIGGER photos_anew AFTER INSERT ON photos BEGIN
    DELETE FROM capture_times WHERE content = new.content;
END;
CREATE TRIGGER written_anew AFTER INSERT ON written BEGIN
    DELETE FROM capture_times WHERE content = new.content;
END;
CREATE TABLE places (
    content BLOB PRIMARY KEY, latitude REAL NOT NULL, longitude REAL NOT NULL, name TEXT
) WITHOUT ROWID;
CREATE TABLE texts (
    id INTEGER PRIMARY KEY, content BLOB NOT NULL UNIQUE, reader TEXT NOT NULL, lines TEXT NOT NULL
);
CREATE VIRTUAL TABLE text_words USING fts5 (
    text, stems,
    tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co M*'", prefix = "2 3"
);
CREATE TABLE photo_tags (
    content BLOB NOT NULL, model TEXT NOT NULL, category TEXT NOT NULL, tag TEXT NOT NULL,
    confidence REAL NOT NULL, PRIMARY KEY (content, model, category, tag)
) WITHOUT ROWID;
CREATE INDEX photo_tags_by_tag ON photo_tags (tag);
DELETE FROM captions;
DELETE FROM indexed_journal;
"""
"""What one search looks into; the journal is read again for it. Marks belong to words (`M*`):
without them Devanagari, Thai and Burmese fall into single consonants."""

_FACE_CROPS = """
CREATE TABLE face_crops (
    content BLOB NOT NULL, number INTEGER NOT NULL, webp BLOB NOT NULL,
    PRIMARY KEY (content, number)
);
CREATE TRIGGER faces_gone AFTER DELETE ON faces BEGIN
    DELETE FROM face_crops WHERE content = old.content AND number = old.number;
END;
"""
"""The faces that a report shows, cut out once."""

_WHAT_OTHERS_SAY = """
CREATE TABLE beside_folders (folder BLOB PRIMARY KEY, stamp TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE beside (
    rel_path BLOB PRIMARY KEY, folder BLOB NOT NULL, latitude REAL, longitude REAL,
    metadata TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX beside_by_folder ON beside (folder);
CREATE TRIGGER beside_anew AFTER INSERT ON beside BEGIN
    DELETE FROM capture_times WHERE rel_path = new.rel_path;
END;
CREATE TRIGGER beside_gone AFTER DELETE ON beside BEGIN
    DELETE FROM capture_times WHERE rel_path = old.rel_path;
END;
CREATE TABLE told (id INTEGER PRIMARY KEY, rel_path BLOB UNIQUE, content BLOB UNIQUE);
CREATE TABLE told_facts (
    told INTEGER NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, source TEXT NOT NULL,
    guessed INTEGER NOT NULL, PRIMARY KEY (told, kind, value)
) WITHOUT ROWID;
CREATE INDEX told_facts_by_value ON told_facts (kind, value);
CREATE VIRTUAL TABLE told_words USING fts5 (
    text, stems,
    tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co M*'", prefix = "2 3"
);
CREATE TRIGGER told_gone AFTER DELETE ON told BEGIN
    DELETE FROM told_facts WHERE told = old.id;
    DELETE FROM told_words WHERE rowid = old.id;
END;
CREATE TABLE told_pending (content BLOB PRIMARY KEY) WITHOUT ROWID;
INSERT INTO told_pending SELECT content FROM written;
"""
"""What files beside the photos say (sidecars, Takeout, osxphotos), by path, and the words of that
and of what is written inside, for searches. `told_pending`: photos read by an older version."""

_SUSPECT_CAPTIONS = """
ALTER TABLE captions ADD COLUMN suspect INTEGER NOT NULL DEFAULT 0;
DELETE FROM captions;
DELETE FROM caption_words;
DELETE FROM caption_tags;
DELETE FROM indexed_journal;
"""
"""Which captions name what nobody told; the journal is read again for it."""

_QUARTERS = "ALTER TABLE places ADD COLUMN detail TEXT;\n"
"""A place is a city, with quarter and region beside it; where that is NULL, the nearest name."""

_BODIES = """
CREATE TABLE bodies (
    content BLOB NOT NULL, number INTEGER NOT NULL, x REAL NOT NULL, y REAL NOT NULL,
    width REAL NOT NULL, height REAL NOT NULL, score REAL NOT NULL,
    PRIMARY KEY (content, number)
) WITHOUT ROWID;
"""
"""People by their bodies; which face belongs to which follows from their places."""

_TAGS_OF_FACES = """
CREATE TABLE face_tags (
    content BLOB NOT NULL, number INTEGER NOT NULL, version TEXT NOT NULL, category TEXT NOT NULL,
    tag TEXT NOT NULL, confidence REAL NOT NULL, PRIMARY KEY (content, number, category, tag)
) WITHOUT ROWID;
CREATE INDEX face_tags_by_tag ON face_tags (tag);
CREATE TRIGGER faces_untagged AFTER DELETE ON faces BEGIN
    DELETE FROM face_tags WHERE content = old.content AND number = old.number;
    DELETE FROM stages WHERE content = old.content AND stage = 'face tags';
END;
"""
"""What a model sees in a face; `version` names it and the taxonomy. They go with the face's box."""

MIGRATIONS: tuple[str, ...] = (
    _PHOTOS_VECTORS_CAPTIONS,
    _WHICH_CAPTION_HOLDS,
    _STAGES,
    _WHAT_IS_WRITTEN,
    _FACES,
    _ONE_SEARCH,
    _FACE_CROPS,
    _WHAT_OTHERS_SAY,
    _SUSPECT_CAPTIONS,
    _QUARTERS,
    _BODIES,
    _TAGS_OF_FACES,
)
"""SQL that leads from version n to version n + 1; the file is of version `len(MIGRATIONS)` then."""


def to_key(text: str) -> bytes:
    """A path or hash as bytes, whatever it holds; `from_key` gives back the same text."""
    return text.encode("utf-8", "surrogatepass")


def from_key(key: bytes) -> str:
    """The text of a key; bytes that are no such text come back as the names of files do."""
    try:
        return key.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # this program never wrote it
        return key.decode("utf-8", "surrogateescape")


def to_text(text: str) -> str:
    """Text that is for reading: what is no character is replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")

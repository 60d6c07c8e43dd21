"""The only code that opens captions.jsonl.

    record.py    one line: what is written, what is remembered
    fold.py      what the lines of a photo add up to: the one rule
    reading.py   lines, damage, the index of what they add up to
    append_only.py  what every such file has: lock, repair, appends that share one sync
    writing.py   `Journal`, open for writing
    rows.py      other files of that kind: people, jobs, undo, and tags as a human decided them
    durable.py   one writer at a time; sync, directory sync, atomic replacement
    forgetting.py photos out of the journal and the files beside it
    maintenance.py  check, compact, merge
    summary.py   what `stats` prints
    tail.py      what was appended since a reader was here last

The format and its rules are in docs/journal-format.md.
"""

from picture_captioner.journal.append_only import real_journal_path
from picture_captioner.journal.durable import has_room, make_folders, replacing
from picture_captioner.journal.fold import Fold, Line, fold, is_real
from picture_captioner.journal.forgetting import (
    Traces,
    find_traces,
    forget_in_log,
    forget_lines,
)
from picture_captioner.journal.maintenance import compact, merge
from picture_captioner.journal.reading import (
    Damage,
    JournalIndex,
    read_again,
    read_captions,
    read_index,
    read_job,
)
from picture_captioner.journal.record import (
    MOST_DOLLARS,
    Entry,
    Record,
    RecordError,
    is_count,
    parse_entry,
    parse_time,
    read_fields,
    says_something,
    utc_now,
)
from picture_captioner.journal.rows import TAGS_FILE, RowFile, TagDecisions, TagsFile, tag_key
from picture_captioner.journal.summary import Summary, summarize
from picture_captioner.journal.tail import JournalTail
from picture_captioner.journal.writing import Journal

__all__ = [
    "MOST_DOLLARS",
    "TAGS_FILE",
    "Damage",
    "Entry",
    "Fold",
    "Journal",
    "JournalIndex",
    "JournalTail",
    "Line",
    "Record",
    "RecordError",
    "RowFile",
    "Summary",
    "TagDecisions",
    "TagsFile",
    "Traces",
    "compact",
    "find_traces",
    "fold",
    "forget_in_log",
    "forget_lines",
    "has_room",
    "is_count",
    "is_real",
    "make_folders",
    "merge",
    "parse_entry",
    "parse_time",
    "read_again",
    "read_captions",
    "read_fields",
    "read_index",
    "read_job",
    "real_journal_path",
    "replacing",
    "says_something",
    "summarize",
    "tag_key",
    "utc_now",
]

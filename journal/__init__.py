"""The only code that opens captions.jsonl.

    record.py    one line: what is written, what is remembered
    reading.py   lines, damage, the index of effective records
    writing.py   `Journal`: lock, repair, appends that share one sync
    lock.py      one writer at a time
    in_flight.py what the backend has, noted beside it: who was there when the process died
    durable.py   sync, directory sync, atomic replacement
    upkeep.py    check, compact, merge
    summary.py   what `stats` prints
    tail.py      what was appended since a reader was here last

The format and its rules are in docs/journal-format.md.
"""

from journal.durable import replacing
from journal.in_flight import Death, InFlight, Sent, Suspicion
from journal.reading import Damage, JournalIndex, read_again, read_index
from journal.record import MOST_DOLLARS, Entry, Record, RecordError, is_count, parse_time, utc_now
from journal.summary import Summary, summarize
from journal.tail import JournalTail
from journal.upkeep import compact, merge
from journal.writing import Journal

__all__ = [
    "MOST_DOLLARS",
    "Damage",
    "Death",
    "Entry",
    "InFlight",
    "Journal",
    "JournalIndex",
    "JournalTail",
    "Record",
    "RecordError",
    "Sent",
    "Summary",
    "Suspicion",
    "compact",
    "is_count",
    "merge",
    "parse_time",
    "read_again",
    "read_index",
    "replacing",
    "summarize",
    "utc_now",
]

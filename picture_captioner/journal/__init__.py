"""The only code that opens captions.jsonl.

    record.py    one line: what is written, what is remembered
    json_lines.py  a line as JSON, whatever another program wrote into it
    fold.py      what the lines of a photo add up to: the one rule
    lines.py     a file as lines, and what is damage
    reading.py   the index of what they add up to
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

"""`journal recheck`: stored answers by today's rules, from end to end."""

from __future__ import annotations

import json

from picture_captioner.journal.writing import Journal
from tests.journal.support import photo
from tests.support import caption, records, requests, run_service

REFUSAL = "I'm sorry, but I can't help with that."


def refuse(journal_path, *names, **more):
    """Put a refusal where a caption is, as an older version stored it."""
    with Journal(journal_path) as journal:
        known = [journal.read_record(journal.index.entries[name]) for name in names]
        journal.append(*(photo(r.rel_path, REFUSAL, backend=r.backend, model=r.model, size=r.size,
                               prompt_sha256=r.prompt_sha256, content_sha256=r.content_sha256,
                               mtime_ns=r.mtime_ns, **more) for r in known))  # fmt: skip


def test_a_stored_refusal_is_withdrawn_and_asked_again(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos)
    journal = tmp_path / "captions.jsonl"
    refuse(journal, "000/00001.jpg", "000/00004.jpg")
    refuse(journal, "000/00005.jpg", edited=True)
    before = journal.read_bytes()
    looked = caption("journal", "recheck", "--dry-run", cwd=tmp_path)
    assert looked.returncode == 0
    assert [line.split("\t")[:2] for line in looked.stdout.splitlines()] == [
        ["000/00001.jpg", "refused"],
        ["000/00004.jpg", "refused"],
    ]
    assert journal.read_bytes() == before
    done = caption("journal", "recheck", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, looked.stdout)
    assert "2 of 5 captions withdrawn: refused 2" in done.stderr
    assert journal.read_bytes().startswith(before)
    assert all(record["withdrawn"] for record in records(journal)[-2:])
    assert json.loads(caption("stats", "--json", cwd=tmp_path).stdout)["withdrawn"] == 2
    assert caption("search", "sorry", cwd=tmp_path).stdout.count("\n") == 1, "the edited one"
    again = caption("journal", "recheck", cwd=tmp_path)
    assert "would be accepted today" in again.stderr
    paid = requests(tmp_path)
    assert run_service(tmp_path, plugin, "--photos-dir", photos).returncode == 0
    assert requests(tmp_path) == paid + 2


def test_one_text_for_many_photos_is_told(tmp_path):
    same = [photo(f"{n}.jpg", "A photo.", content_sha256=f"{n:064x}") for n in range(9)]
    copies = [photo(f"c{n}.jpg", "Two boats.", content_sha256="a" * 64) for n in range(9)]
    with Journal(tmp_path / "captions.jsonl") as journal:
        journal.append(*copies, *same, photo("z.jpg", "A last one."))
    done = caption("journal", "recheck", cwd=tmp_path)
    assert "9 photos in a row have one and the same caption (0.jpg to 8.jpg)" in done.stderr
    assert done.stderr.count("in a row") == 1
    assert done.stdout == ""

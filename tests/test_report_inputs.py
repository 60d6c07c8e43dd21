"""What a report is about: the journal's photos and those on the disk, as one list."""

from __future__ import annotations

import pytest

from picture_captioner.cli.commands import report_inputs
from picture_captioner.cli.commands.report_inputs import (
    moved_captions,
    of_their_own,
    report_photos,
)
from picture_captioner.errors import Status
from picture_captioner.journal.reading import read_index
from picture_captioner.journal.record import Record, RecordError
from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.store import Library
from picture_captioner.pipeline.selecting.walk import Photo


def record(rel_path: str, **known) -> Record:
    return Record(**({"rel_path": rel_path, "caption": "A dog.", "status": Status.SUCCESS} | known))


def test_photos_with_and_without_a_record_and_records_without_a_photo():
    walked = [Photo("b.jpg", 10, 1), Photo("a/z.jpg", 20, 2)]
    records = [
        record("b.jpg", content_sha256="ab", size=9, extra={"title": "T", "tags": ["x", 3]}),
        record("gone.jpg", size=7),
    ]
    z, b, gone = report_photos(walked, records)
    assert (z.rel_path, z.status, z.present, z.size) == ("a/z.jpg", None, True, 20)
    assert (b.caption, b.title, b.tags, b.present, b.size) == ("A dog.", "T", ("x",), True, 10)
    assert (gone.present, gone.size) == (False, 7)


def test_a_renamed_folder_keeps_its_captions(tmp_path):
    journal = tmp_path / "captions.jsonl"
    lines = [
        record("old/a.jpg", size=10, mtime_ns=1, content_sha256="a" * 64),
        record("old/b.jpg", size=20, mtime_ns=2, content_sha256="b" * 64),
        record("here.jpg", size=10, mtime_ns=1, content_sha256="a" * 64),
    ]
    journal.write_bytes(b"".join(line.to_line() for line in lines))
    index = read_index(journal)
    known = [index.fold(path) for path in index.entries]
    walked = [
        Photo("here.jpg", 10, 1),
        Photo("new/a.jpg", 10, 1),
        Photo("new/b.jpg", 20, 3),  # touched since: the next run compares the bytes
        Photo("newer/a.jpg", 10, 1),  # one of the two is a copy
    ]
    found = moved_captions(walked, index, known)
    assert {path: entry.rel_path for path, entry in found.items()} == {"new/a.jpg": "old/a.jpg"}
    assert moved_captions(walked[:1], index, known) == {}


def test_photos_that_took_each_others_names_keep_their_captions(tmp_path):
    journal = tmp_path / "captions.jsonl"
    lines = [record(f"{n}.jpg", size=10 + n, mtime_ns=n, content_sha256="a" * 64) for n in range(6)]
    twins = [record(f"t/{n}.bmp", size=50, mtime_ns=7, content_sha256="b" * 64) for n in range(2)]
    journal.write_bytes(b"".join(line.to_line() for line in [*lines, *twins]))
    index = read_index(journal)
    known = [index.fold(path) for path in index.entries]
    walked = [
        Photo("0.jpg", 11, 1),  # the first was deleted, and the next two numbered anew
        Photo("1.jpg", 12, 2),
        Photo("3.jpg", 14, 4),  # swapped
        Photo("4.jpg", 13, 3),
        Photo("5.jpg", 99, 9),  # edited
        Photo("t/new.bmp", 50, 7),  # one of two that were alike
    ]
    found = moved_captions(walked, index, known)
    assert {path: entry.rel_path for path, entry in found.items()} == {
        "0.jpg": "1.jpg", "1.jpg": "2.jpg", "3.jpg": "4.jpg", "4.jpg": "3.jpg",
    }  # fmt: skip


@pytest.mark.parametrize(
    "path", ["../secret.jpg", "/etc/passwd", "/dev/zero", "a/../../x.jpg", "C:\\x.jpg", "con"]
)
def test_a_path_that_was_not_walked_is_never_present(path):
    (photo,) = report_photos([], [record(path)])
    assert photo.rel_path == path
    assert not photo.present


def test_an_error_is_its_code_and_message():
    error = RecordError("timeout", "no answer")
    (photo,) = report_photos([], [record("a", caption=None, status=Status.ERROR_API, error=error)])
    assert photo.last_error == "timeout: no answer"


def test_odd_structured_fields_of_other_programs_are_passed_over():
    (photo,) = report_photos([], [record("a", extra={"title": ["no"], "tags": "no"})])
    assert (photo.title, photo.tags) == (None, ())


def test_a_size_and_a_path_that_no_file_can_have_stop_nothing():
    photos = report_photos([], [record("\ud800.jpg", size=10**400), record("a.jpg", size=-1)])
    assert [(photo.rel_path, photo.size) for photo in photos] == [
        ("a.jpg", None),
        ("\ud800.jpg", None),
    ]


def test_a_photo_that_got_other_metadata_is_known_by_its_thumbnail_unopened(monkeypatch):
    """To open two of them takes 4 ms, and a program may have written into half of all photos."""
    monkeypatch.setattr(report_inputs, "structure_of", lambda _: pytest.fail("opened"))
    walked = [Photo("a.jpg", 10, 1)]
    photos = report_photos(walked, [record("a.jpg", content_sha256="a" * 64)])
    with Library.in_memory(print) as library:
        library.facts.save("a.jpg", 10, 1, PhotoFacts(content_sha256="b" * 64, width=4, height=3))
        for content in ("a" * 64, "b" * 64):
            library.save_thumbnail(content, b"webp")
        assert of_their_own(photos, walked, library) == (photos, 0)

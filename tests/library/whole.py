"""A library with something in every table, by made-up photos that differ in everything."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import numpy as np

from picture_captioner.errors import Status
from picture_captioner.journal.record import Record, RecordError
from picture_captioner.library.face_runs import RunRow
from picture_captioner.library.faces import StoredBody, StoredFace
from picture_captioner.library.facts import PhotoFacts, Place
from picture_captioner.library.selection import Selection
from picture_captioner.library.tags import GivenTag
from picture_captioner.metadata.claims import Metadata, TakenFrom
from picture_captioner.metadata.told import Fact, Kind

THINGS = "dog dogs beach snow bike cars child children running Café naïve rock'n'roll close-up sea"
SENTENCES = (
    "Ein Hund läuft am Strand entlang.",
    "日本の海滩に沈む夕日と犬",
    "เด็กผู้หญิงกับหมาบนชายหาด",
    "Собака и дети на пляже.",
    "समुद्र तट पर एक लड़की",
    "Two children build a sandcastle; the dog's asleep (rock'n'roll).",
    "R&B, AT&T, C++ and C# on an A4-sheet: 50% off .NET \U0001f389",
)
PEOPLE = 4


def fill_whole(db, journal, count=120, seed=3):
    """`count` photos; the same seed makes the same."""
    chance = random.Random(seed)
    numbers = np.random.default_rng(seed)
    journal.write_bytes(b"".join(_records(chance, count)))
    db.follow_journal(journal)
    with db.transaction():
        for i in range(count):
            _photo(db, chance, numbers, i)
        contents = [_content(i) for i in range(count)]
        array = numbers.normal(size=(count, 16)).astype(np.float32)
        db.save_vectors("made-up:1", contents, array / np.linalg.norm(array, axis=1, keepdims=True))
        db.tags.save("made-up:1", "v1", {
            content: [GivenTag("animal", "dog", 0.75), GivenTag("place", f"Place > {i % 5}", 0.5)]
            for i, content in enumerate(contents) if i % 4 == 0
        })  # fmt: skip
    db.others.save_beside("d1", "stamp", {
        f"d1/{i}.jpg": Metadata(latitude=38.7, longitude=-9.1, facts=(
            Fact(Kind.KEYWORD, "Lisboa " + "x" * 5_000 * (i == 1), "takeout"),
            Fact(Kind.PERSON, f"Anna {i % 3}", "takeout"),
        ))
        for i in range(1, count, 10)
    })  # fmt: skip
    db.facts.name_places(
        lambda spots: [Place(f"Town {round(lat)}", "Old Town") for lat, _ in spots]
    )
    _group(db, numbers)
    assert list(db.select(Selection.parse("has:time")))  # keeps the times


def _content(i):
    return f"{i:064x}"


def _path(i):
    return f"d{i % 10}/{i}.jpg" if i % 17 else f"d{i % 10}/caf\udce9 {i}.jpg"


def _records(chance, count):
    for i in range(count):
        words = " ".join(chance.sample(THINGS.split(), 6))
        said = f"{words}. {SENTENCES[i % len(SENTENCES)]}" if i % 13 else None
        yield Record(
            rel_path=_path(i),
            caption=said,
            status=Status.SUCCESS if said else Status.ERROR_MODEL,
            error=None if said else RecordError("refused", "no"),
            content_sha256=_content(i),
            extra={"title": f"Title {i}", "tags": chance.sample(THINGS.split(), 2)}
            if i % 3
            else {},
        ).to_line()


def _photo(db, chance, numbers, i):
    taken = datetime.fromisoformat("2015-01-01") + timedelta(chance.randrange(4000), i)
    facts = PhotoFacts(
        content_sha256=_content(i),
        width=4000 + i,
        height=3000,
        taken_at=taken if i % 5 else None,
        taken_from=TakenFrom.EXIF if i % 5 else None,
        camera=chance.choice(["Canon EOS 5D", "100%_Fake Camera", None]),
        latitude=chance.uniform(-80, 80) if i % 6 == 0 else None,
        longitude=chance.uniform(-170, 170) if i % 6 == 0 else None,
        sharpness=chance.random() * 1000,
        perceptual_hash=chance.getrandbits(64),
        metadata=Metadata(facts=(Fact(Kind.KEYWORD, f"Keyword {i % 7}", "xmp"),))
        if i % 3 == 0
        else Metadata(),
    )
    db.facts.save(_path(i), i, i, facts)
    db.save_thumbnail(_content(i), bytes([i % 256]) * 50)
    db.ledger.note(_content(i), "normalize", "1", took=0.25)
    db.ledger.note(_content(i), "faces", "1", error="no" if i % 9 == 0 else None)
    if i % 8 == 0:
        corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
        db.texts.save(_content(i), "ocr", [(f"Exit {i} Ausgänge 出口", 0.9, corners)])
    faces = [
        StoredFace(
            number,
            (100.0 * number, 10.0, 50.0, 50.0),
            0.9,
            50.0,
            numbers.normal(size=(5, 2)).astype(np.float32),
            numbers.normal(size=8).astype(np.float32),
        )
        for number in range(i % 3)
    ]
    db.faces.save(_content(i), "detector", "recogniser", faces)
    db.tags.save_of_faces(
        "v1", {_content(i): {face.number: [GivenTag("gaze", "away", 0.5)] for face in faces}}
    )
    db.faces.save_crops(_content(i), {face.number: b"webp" for face in faces})
    db.faces.save_bodies(_content(i), [StoredBody((1.0, 2.0, 30.0 + i, 40.0), 0.75)] * (i % 2))


def _group(db, numbers):
    table = db.faces.table("recogniser")
    table.labels[:] = np.arange(len(table)) % PEOPLE
    table.core[:] = 0.5
    db.face_runs.save_run(
        RunRow(
            recogniser="recogniser",
            parameters={"min_cluster_size": 3},
            faces=len(table),
            noise=0,
            births=np.full(PEOPLE, 0.5, np.float32),
            persistence=np.full(PEOPLE, 0.25, np.float32),
            centroids=numbers.normal(size=(PEOPLE, 8)).astype(np.float32),
            sizes=np.bincount(table.labels, minlength=PEOPLE),
            tree=np.arange(10.0).reshape(2, 5),
        ),
        table,
    )
    which = range(0, len(table), 2)
    status = ["auto"] * len(table)
    persons = [f"person {label}" for label in table.labels]
    db.faces.save_persons(table, which, persons, status, np.full(len(table), 0.5, np.float32))
    db.face_runs.save_medoids(table, range(PEOPLE))

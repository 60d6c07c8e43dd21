"""Google Takeout as it names its files, made up: a photo's title goes in, the names come out.

The rules are those that programs which import Takeout have found out: a photo's own name is cut to
47 characters before its ending, its JSON's to 46 before `.json`; numbers come after the cut; edits
have no JSON; of `.supplemental-metadata` any beginning may be there.
"""

from __future__ import annotations

import json
import random
from pathlib import PurePosixPath

EDITED = ("-edited", "-bearbeitet", "-modifié", "-editado", "-modificato", "-編集済み")
ALBUMS = {  # what the album's own file is called, and the album
    "metadata.json": "Summer in Rome",
    "Metadaten.json": "Ferien am See",
    "métadonnées.json": "Été à la mer",
    "metadatos.json": "Vacaciones",
    "メタデータ.json": "夏休み",
}
WORD = ".supplemental-metadata"


def photo_name(title: str, number: int) -> str:
    path = PurePosixPath(title)
    counted = f"({number})" if number else ""
    return f"{path.stem[:47]}{counted}{path.suffix}"


def json_name(title: str, number: int, word: str) -> str:
    counted = f"({number})" if number else ""
    return f"{(title + word)[:46]}{counted}.json"


def about(title: str, **more: object) -> dict:
    return {
        "title": title,
        "description": "",
        "photoTakenTime": {"timestamp": "1551123684", "formatted": "Feb 25, 2019, 7:41:24 PM UTC"},
        "geoData": {"latitude": 0.0, "longitude": 0.0, "altitude": 0.0},
        **more,
    }


def album(title: str) -> dict:
    return {"title": title, "description": "", "access": "protected", "date": {"timestamp": "1"}}


def titles(rng: random.Random, count: int) -> list[str]:
    """Titles of many kinds, some of them alike for longer than any cut."""
    long = "A very long name that somebody gave to a photo of "
    made = []
    for i in range(count):
        number = f"{i:04d}"
        made.append(
            rng.choice(
                [
                    f"IMG_{number}.jpg",
                    f"PXL_20190225_{number}123.MP.jpg",
                    f"IMG_{number}.HEIC",
                    f"DSC0{number}.JPG",
                    f"Screenshot_20190225-{number}_Some Program With A Name.png",
                    f"{long}the sea {number}.jpg",
                    f"{number} {long}{number}.jpeg",
                    f"{'x' * (40 + i % 12)}{number}.jpg"[-50:],
                    f"Foto & {number} #1.jpg",
                    f"été à la plage {number}.jpg",
                    f"写真{number}.jpg",
                    f"IMG_{number}(1).jpg",
                ]
            )
        )
    return made


def folder(rng: random.Random, count: int = 60) -> tuple[dict[str, str | None], dict[str, dict]]:
    """The names of photos, each with its JSON's name (None: it has none), and the JSON files."""
    photos: dict[str, str | None] = {}
    files: dict[str, dict] = {}
    for title in titles(rng, count):
        word = WORD[: rng.choice([0, 2, 5, 9, 14, len(WORD)])]
        copies = rng.choice([1, 1, 1, 2, 3])
        for number in range(copies):
            photo, name = photo_name(title, number), json_name(title, number, word)
            while photo in photos or name in files:  # Takeout counts on where names collide
                number += 1
                photo, name = photo_name(title, number), json_name(title, number, word)
            photos[photo] = name
            files[name] = about(title.replace("#", "#"))
            if len(title) < 40 and rng.random() < 0.2:
                path = PurePosixPath(title)
                counted = f"({number})" if number else ""
                photos[f"{path.stem}{rng.choice(EDITED)}{counted}{path.suffix}"] = name
    for i in range(5):  # photos that Takeout knows nothing of
        photos[f"copied by hand {i}.jpg"] = None
    return photos, files


def as_bytes(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()

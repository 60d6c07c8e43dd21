"""Photos, and a journal with captions of them, for tests of `write` and `undo`."""

from __future__ import annotations

import hashlib
import json

from tests.metadata.test_xmp_packet import FOREIGN
from tests.support import draw

HERE = ("--photos-dir=photos", "--captions-jsonl=c.jsonl")


def journal(folder, captions):
    lines = [
        {"rel_path": path, "status": "success", "backend": "openai", "model": "m", **fields}
        for path, fields in captions.items()
    ]
    (folder / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def facts_of(path):
    status = path.stat()
    return {
        "content_sha256": sha(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns,
    }  # fmt: skip


def three_photos(folder):
    """And one with a placeholder for a caption; one of the three has somebody's sidecar."""
    for number, name in enumerate(("a.jpg", "b.jpg", "sub/c.jpg", "d.jpg")):
        draw(folder / "photos" / name, number)
    (folder / "photos" / "b.jpg.xmp").write_bytes(FOREIGN)
    journal(
        folder,
        {
            "a.jpg": {"caption": 'A "dog" & <b>', "tags": ["dog", "Animal > Dog"]},
            "b.jpg": {"caption": "A square", "title": "Square"},
            "sub/c.jpg": {"caption": "A cat"},
            "d.jpg": {"caption": "A placeholder", "placeholder": True},
            "gone.jpg": {"caption": "A photo that was deleted"},
        },
    )
    return folder


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / "photos").rglob("*"))
        if path.is_file()
    }


def numbered_anew(photos):
    """1.jpg is deleted, and what comes after it is called by the number before."""
    for file in photos.glob("1.jpg*"):
        file.unlink()
    for number in range(2, 6):
        for file in photos.glob(f"{number}.jpg*"):
            file.rename(file.with_name(file.name.replace(f"{number}.", f"{number - 1}.")))

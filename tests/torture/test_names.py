"""Odd names on the real disk: every photo is found, captioned once, and itself in every output."""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from tests.support import ROOT, draw, environment, records
from tests.torture.one_process import command
from tests.torture.payloads import as_name, everything
from tests.torture.test_outputs_csv import text_of

ODD = (
    b"new\nline.jpg", b"cr\rhere.jpg", b'quo"te.jpg', b"quo'te.jpg", b"com,ma.jpg",
    b"semi;colon.jpg", b"tab\there.jpg", b"\x01start.jpg", b"before\x01after\x02.jpg",
    b"\x1b[2J.jpg", b"del\x7f.jpg", b"back\\slash.jpg", b"back\\x1b.jpg", b"\\udce9.jpg",
    b"-dash.jpg", b"--help.jpg", b"=1+1.jpg", b"'=1+1.jpg", b"@sum.jpg", b"+1.jpg", b" lead.jpg",
    b"trail .jpg", b"two  spaces.jpg", b"a .jpg", b"glob*.jpg", b"glob?.jpg", b"[ab].jpg",
    b"{a,b}.jpg", b"!x.jpg", b"~x.jpg", b"$HOME.jpg", b"`id`.jpg", b"%20.jpg", b"a%2fb.jpg",
    b"#x.jpg", b"?x=y.jpg", b"a&b.jpg", b"<b>.jpg", b"a|b.jpg", b"a:b.jpg", b"x...jpg",
    b"x.../a.jpg", b"caf\xe9.jpg", b"\xff\xfe.jpg", b"\xed\xa0\x80.jpg", b"\xc0\xaf.jpg",
    b"half\xf0\x9f\x98.jpg", b"\x80.jpg", "\u00e9.jpg".encode(), "e\u0301.jpg".encode(),
    "\u212b.jpg".encode(), "\u00c5.jpg".encode(), b"Case.jpg", b"case.jpg", b"CASE.jpg",
    b"case.JPG", "\U0001f600.jpg".encode(), "👩\u200d👩\u200d👧.jpg".encode(),
    "\u202egpj.exe.jpg".encode(), "\u2066x.jpg".encode(), "zero\u200bwidth.jpg".encode(),
    "\ufeffbom.jpg".encode(), "\u2028line.jpg".encode(), "nbsp\u00a0.jpg".encode(),
    "\u3000.jpg".encode(), "a\u0301\u0301\u0301.jpg".encode(), b"x" * 251 + b".jpg",
    b"\xff" * 251 + b".jpg", "\u00e9".encode() * 125 + b".jpg",
    b"y" * 250 + b"/" + b"z" * 250 + b".jpg", b"sub\ndir/a.jpg", b"sub dir /a.jpg", b"-rf/a.jpg",
    b"caf\xe9/b.jpg", b"CON.jpg", b"nul.jpg", b"con/aux.jpg", b"a.jpg.jpg", b"a.jpg/b.jpg",
    b"trailing./c.jpg", b"__proto__.jpg", b"constructor/toString.jpg",
)  # fmt: skip


def make(photos: Path, names: list[bytes]) -> list[str]:
    """A photo of each name, all different; returns the names as the program writes them."""
    for number, name in enumerate(names):
        draw(Path(os.fsdecode(os.path.join(os.fsencode(photos), name))), seed=number, format="JPEG")
    return [os.fsdecode(name) for name in names]


def execute(here: Path, *commands: str) -> list[tuple[bytes, bytes]]:
    """What the commands, each of which ends with 0, write to stdout and stderr."""
    found = []
    for line in commands:
        reading, writing = os.pipe()
        program, *arguments = line.split(" ")
        run = command([[program, *arguments]], writing)
        done = subprocess.run(
            run, cwd=here, env=environment(PHOTOS_DIR="photos"), capture_output=True,
            pass_fds=[writing], timeout=300,
        )  # fmt: skip
        os.close(writing)
        with open(reading) as codes:
            assert codes.read() == "0\n", (line, done.stderr)
        found.append((done.stdout, done.stderr))
    return found


@pytest.mark.timeout(900)
def test_names_survive_every_output_byte_for_byte(tmp_path, share, tried):
    names = [
        *ODD,
        *(os.fsencode(as_name(t, i)) for i, t in enumerate(everything()[:: share(80, 1)])),
    ]
    names = list(dict.fromkeys(names))
    paths = make(tmp_path / "photos", names)
    make(tmp_path / "photos", [b".hidden.jpg", b"...x/a.jpg"])  # passed over, as documented
    outputs = execute(
        tmp_path,
        "caption run --backend=template",
        "caption run --backend=template",
        "caption search picture --limit=100000 --json",
        "cluster_report --embedder=pixels --engine=none --json",
    )
    journal = records(tmp_path / "captions.jsonl")
    assert sorted(r["rel_path"] for r in journal) == sorted(paths), "each once, as on disk"
    assert {r["status"] for r in journal} == {"success"}
    assert b"Nothing to do" in outputs[1][1], "a second run does nothing"
    assert {hit["rel_path"] for hit in json.loads(outputs[2][0])} <= set(paths)
    assert json.loads(outputs[3][0])["photos"] == len(paths)
    in_csv(tmp_path / "report_out", paths)
    in_page(tmp_path / "report_out", names)
    for _, said in outputs:
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", said)
    tried("odd names on disk, through a run, a search and a report", len(names))


def in_csv(out: Path, paths: list[str]) -> None:
    with open(out / "cluster_export.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, strict=True))
    assert sorted(text_of(row["path"]) for row in rows) == sorted(paths)
    assert len({row["path"] for row in rows}) == len(paths), "no two names look alike"


def in_page(out: Path, names: list[bytes]) -> None:
    """Each photo's link leads to its file, and its thumbnail is there."""
    page = (out / "cluster_report.html").read_text("utf-8")
    found = re.search(r'<script id="data" type="application/json">(.*?)</script', page, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    links = links_of(data)
    assert sorted(unquote_to_bytes(link) for link in links) == sorted(names)
    digests = base64.b64decode(data["photos"]["thumbnails"])
    assert len(digests) == 10 * len(names)
    for start in range(0, len(digests), 10):
        name = digests[start : start + 10].hex()
        assert (out / "cluster_report_files/thumbnails" / name[:2] / f"{name}.webp").is_file()


def links_of(data: dict) -> list[str]:
    """As data.js puts them together."""
    photos = data["photos"]
    count = photos["count"]
    packed = photos["folder"]
    if isinstance(packed, int):
        folders = [packed] * count
    else:
        import numpy as np

        folders = np.frombuffer(base64.b64decode(packed["d"]), f"<{packed['t']}").tolist()
    links = []
    for i in range(count):
        name = photos["nameLinks"].get(str(i), photos["name"][i])
        folder = photos["folderLinks"][folders[i]] if folders[i] >= 0 else None
        links.append(name if folder is None else f"{folder}/{name}")
    return links


FAILED = 15
"""Twenty failures in a row, all alike, would end the run: it would not be the photos' fault."""


def test_failures_of_odd_names_are_retried_and_shown_escaped(tmp_path, plugin, share, tried):
    paths = make(tmp_path / "photos", list(ODD[:: share(6, 1)]))
    failed = min(FAILED, len(paths))
    run = [sys.executable, "-m", "caption", "run", "--backend=service", "--max-workers=1"]
    for fail, errors in (("policy", failed), ("", 0)):
        done = subprocess.run(
            [*run, f"--option=fail={fail}", f"--option=fail_first={FAILED}", "--retry-status=all"],
            cwd=tmp_path,
            env=environment(PYTHONPATH=f"{plugin}:{ROOT}", PHOTOS_DIR="photos"),
            capture_output=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        last = {r["rel_path"]: r["status"] for r in records(tmp_path / "captions.jsonl")}
        assert sorted(last) == sorted(paths)
        assert list(last.values()).count("error_api") == errors
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", done.stderr)
    assert len(records(tmp_path / "captions.jsonl")) == len(paths) + failed
    tried("odd names failed and tried again", failed)

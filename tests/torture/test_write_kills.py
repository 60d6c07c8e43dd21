"""`write` and `undo` are killed, and the disk is full: no half file, and a way back."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from picture_captioner.metadata.xmp_packet import XmpPacket
from tests.metadata.test_xmp_packet import FOREIGN
from tests.support import ROOT, caption, draw, environment
from tests.writeback.support import HERE, contents, journal, three_photos


@pytest.fixture
def here(tmp_path):
    return three_photos(tmp_path)


def damaged(folder, before):
    """Sidecars that are neither as they were nor a whole packet, and what was lost of theirs."""
    wrong = []
    for name, data in contents(folder).items():
        if name.endswith(".xmp") and data != before.get(name):
            packet = XmpPacket(data)
            if name in before and packet.text("dc:description") != "Grandma in Rome":
                wrong.append(name)
    return wrong


def killed(folder, count, rng):
    before = contents(folder)
    command = [sys.executable, str(ROOT / "caption.py")]
    for kill in range(count):
        words = ("undo", "--all") if kill % 3 == 2 else ("write",)
        process = subprocess.Popen(
            [*command, *words, *HERE], cwd=folder, env=environment(), stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(rng.uniform(0.25, 1.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert damaged(folder, before) == []
    assert caption("undo", *HERE, "--all", cwd=folder).returncode in {0, 64}
    assert contents(folder) == before


def library(folder, photos):
    draw(folder / "photos" / "p.jpg", 1)
    for number in range(photos):
        shutil.copy(folder / "photos" / "p.jpg", folder / "photos" / f"{number}.jpg")
        if number % 2:
            (folder / "photos" / f"{number}.jpg.xmp").write_bytes(FOREIGN)
    journal(folder, {f"{n}.jpg": {"caption": f"photo {n}", "tags": ["t"]} for n in range(photos)})
    caption("write", *HERE, "--dry-run", cwd=folder)  # facts are read once


def test_kills_leave_no_half_file_and_everything_can_be_undone(tmp_path):
    library(tmp_path, 60)
    killed(tmp_path, 6, random.Random(1))


@pytest.mark.torture
@pytest.mark.timeout(3000)
def test_a_thousand_kills(tmp_path):
    library(tmp_path, 400)
    killed(tmp_path, 1000, random.Random(2))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount of its own")
def test_a_full_disk_damages_nothing(here):
    small = here / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small])
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        shutil.copytree(here / "photos", small / "photos")
        (small / "filler").write_bytes(b"x" * 40_000)
        before = contents(small)
        done = caption("write", "--photos-dir=small/photos", "--captions-jsonl=c.jsonl", cwd=here)
        if done.returncode:
            assert (done.returncode, "No space left" in done.stderr) == (74, True), done.stderr
        assert damaged(small, before) == []
        caption("undo", "--photos-dir=small/photos", "--captions-jsonl=c.jsonl", "--all", cwd=here)
        assert contents(small) == before
    finally:
        subprocess.run(["umount", small], check=True)

"""`caption.py read`: what is written in a photo, read by the real models, is found by `search`."""

import difflib
import json
import subprocess
import sys

import pytest
from PIL import Image, ImageDraw, ImageFont

from picture_captioner.library.selection import Selection
from picture_captioner.library.store import Library
from tests.support import ROOT, caption

pytestmark = pytest.mark.needs("rapidocr")

RECEIPT = ["RECEIPT 4711", "Coffee 3.50", "Total 12.80 EUR", "Thank you"]


def page(path, lines, turn=0):
    image = Image.new("RGB", (900, 120 * len(lines)), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text(
            (40, 30 + 110 * number), line, "black", ImageFont.load_default(56)
        )
    image.rotate(turn, expand=True, fillcolor="white").save(path)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("read")
    (folder / "photos").mkdir()
    (folder / "captions.jsonl").touch()
    page(folder / "photos/receipt.png", RECEIPT)
    page(folder / "photos/turned.png", ["Platform 9 closed"], turn=8)
    gradient = Image.linear_gradient("L").resize((640, 480))
    Image.merge("RGB", [gradient, gradient.rotate(90), gradient]).save(folder / "photos/sky.jpg")
    done = caption("read", "--photos-dir=photos", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def text_of(folder, name):
    with Library.open(folder / "library.db", pytest.fail) as db:
        (rel_path,) = [path for path in db.select(Selection.parse("-unicorn")) if name in path]
        (hit,) = [
            h for h in db.search(Selection.parse("-unicorn"), None, fold=False).photos
            if h.rel_path == rel_path
        ]  # fmt: skip
        return db.texts.of_content(hit.content_sha256)


def test_lines_come_with_places_and_confidence(here):
    lines = text_of(here, "receipt")
    read = "\n".join(line.text for line in lines)
    wrong = 1 - difflib.SequenceMatcher(None, read, "\n".join(RECEIPT), autojunk=False).ratio()
    assert wrong < 0.05, read
    tops = [line.corners[0][1] for line in lines]
    assert tops == sorted(tops)
    assert all(0.6 <= line.confidence <= 1 for line in lines)
    assert all(-0.02 <= x <= 1.02 for line in lines for corner in line.corners for x in corner)


def test_a_turned_sign_is_read_and_nothing_is_invented(here):
    assert "Platform" in " ".join(line.text for line in text_of(here, "turned"))
    assert text_of(here, "sky") == []


def test_search_finds_it_and_says_where(here):
    found = caption("search", "--json", "receipts coffee", "--photos-dir=photos", cwd=here)
    (hit,) = json.loads(found.stdout)
    assert hit["rel_path"] == "receipt.png"
    assert hit["path"] == str(here / "photos/receipt.png")
    assert hit["why"] == "text in the picture: receipts coffee"
    paths = caption("search", "has:text", "--paths0", "--photos-dir=photos", cwd=here).stdout
    assert sorted(paths.split("\0")) == [
        "", str(here / "photos/receipt.png"), str(here / "photos/turned.png"),
    ]  # fmt: skip


def test_a_second_time_there_is_nothing_to_do(here):
    assert "Nothing to do: 3 photos" in caption("read", "--photos-dir=photos", cwd=here).stderr


def test_what_was_read_is_forgotten_with_the_photo(here):
    forgotten = caption("forget", "receipt.png", "--photos-dir=photos", cwd=here)
    assert forgotten.returncode == 0, forgotten.stderr
    assert caption("search", "4711", cwd=here).stdout == ""
    assert b"4711" not in (here / "library.db").read_bytes()


BANNER = """
import resource
from PIL import Image, ImageDraw, ImageFont
from picture_captioner.tags.text import TextReader

reader = TextReader()
for size in ((1600, 1), (1, 1600), (1, 1), (1600, 40)):
    image = Image.new("RGB", size, "white")
    if size == (1600, 40):
        font = ImageFont.load_default(30)
        ImageDraw.Draw(image).text((20, 2), "Mind the gap between two platforms", "black", font)
    for line in reader.read(image):
        print(line.text, min(min(c) for c in line.corners), max(max(c) for c in line.corners))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


def test_a_banner_takes_no_more_memory_than_a_photo(tmp_path):
    """The models enlarge the shorter side to 736 pixels, however long the other one is then."""
    done = subprocess.run(
        [sys.executable, "-c", BANNER], cwd=ROOT, capture_output=True, text=True, check=True
    )
    read, peak_mb = done.stdout.splitlines()
    text, least, most = read.rsplit(" ", 2)
    assert text.replace(" ", "") == "Mindthegapbetweentwoplatforms"
    assert (float(least) >= -0.02, float(most) <= 1) == (True, True)
    assert int(peak_mb) < 1500

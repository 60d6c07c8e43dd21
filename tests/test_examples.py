"""The example photos are what README, tests and people who try the program expect."""

from collections import Counter
from datetime import datetime
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageOps
from PIL.ExifTags import GPS, IFD, Base

ROOT = Path(__file__).parent.parent
COMMITTED = ROOT / "examples" / "photos"
TRUNCATED = "2024-12-winter/truncated_on_purpose.jpg"
pillow_heif.register_heif_opener()


@pytest.fixture
def drawn():
    return COMMITTED


def names(directory):
    return {p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file()}


def photos(directory):
    return sorted(names(directory) - {TRUNCATED, "notes.txt"})


def exif_of(path):
    with Image.open(path) as image:
        return image.getexif()


def test_formats(drawn):
    formats = Counter()
    for name in photos(drawn):
        with Image.open(drawn / name) as image:
            image.load()
            formats[image.format] += 1
            assert 640 <= max(image.size) <= 1200, name
    assert formats == {"JPEG": 10, "HEIF": 1, "WEBP": 1, "PNG": 1}


def test_together_they_stay_small():
    assert sum(p.stat().st_size for p in COMMITTED.rglob("*") if p.is_file()) < 1_500_000


def test_the_screenshot_has_alpha(drawn):
    with Image.open(drawn / "screenshots/settings.png") as image:
        assert image.mode == "RGBA"
        assert image.getchannel("A").getextrema() == (0, 255)


def test_the_city_is_stored_on_its_side(drawn):
    with Image.open(drawn / "2024-12-winter/city.jpg") as image:
        assert image.getexif()[Base.Orientation] == 6
        assert image.size == (1200, 800)
        upright = ImageOps.exif_transpose(image).convert("L")
    assert upright.size == (800, 1200)
    top, bottom = upright.crop((0, 0, 800, 100)), upright.crop((0, 700, 800, 800))
    assert max(top.resize((1, 1)).getextrema()) < max(bottom.resize((1, 1)).getextrema())


def test_one_photo_and_its_copy_know_their_place(drawn):
    placed = {name for name in photos(drawn) if exif_of(drawn / name).get_ifd(IFD.GPSInfo)}
    assert placed == {"2024-07-lake/mountain_lake.jpg", "copies/mountain_lake (1).jpg"}
    gps = exif_of(drawn / "2024-07-lake/mountain_lake.jpg").get_ifd(IFD.GPSInfo)
    degrees, minutes, seconds = map(float, gps[GPS.GPSLatitude])
    assert degrees + minutes / 60 + seconds / 3600 == pytest.approx(46.57)
    assert (gps[GPS.GPSLatitudeRef], gps[GPS.GPSLongitudeRef]) == ("N", "E")


def taken(path):
    details = exif_of(path).get_ifd(IFD.Exif)
    stamp = details[Base.DateTimeOriginal] + details[Base.OffsetTimeOriginal]
    return datetime.strptime(stamp, "%Y:%m:%d %H:%M:%S%z")


def test_capture_times_make_two_events_on_three_days(drawn):
    by_event = {"2024-07-lake": set(), "2024-12-winter": set()}
    for name in photos(drawn):
        folder = name.split("/")[0]
        if folder in by_event:
            by_event[folder].add(taken(drawn / name).date().isoformat())
    assert by_event == {
        "2024-07-lake": {"2024-07-13", "2024-07-14"},
        "2024-12-winter": {"2024-12-24"},
    }


def test_the_camera_is_made_up(drawn):
    makes = {exif_of(drawn / name).get(Base.Make) for name in photos(drawn)}
    assert makes == {"Imaginary Optics", None}


def test_the_truncated_photo_opens_and_does_not_decode(drawn):
    with Image.open(drawn / TRUNCATED) as image, pytest.raises(OSError, match="truncated"):
        image.load()


def test_the_copy_is_exact(drawn):
    original = (drawn / "2024-07-lake/mountain_lake.jpg").read_bytes()
    assert (drawn / "copies/mountain_lake (1).jpg").read_bytes() == original


def test_the_notes_are_no_photo(drawn):
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(drawn / "notes.txt")

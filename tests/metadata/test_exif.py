"""When, with what and where a photo was taken; what cannot be right is unknown."""

import io
import struct
import subprocess
import zlib
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from picture_captioner.image_loader.decode_errors import decoder_errors
from picture_captioner.image_loader.decoding import written_in
from picture_captioner.image_loader.loading import examine_image
from picture_captioner.metadata.claims import Metadata, TakenFrom, TimeClaim, best_time
from picture_captioner.metadata.exif import MAX_EXIF_BYTES, _degrees
from picture_captioner.metadata.times import parse_time
from tests.images import dng, encoded, gradient, write

ORIGINAL, OFFSET, FRACTION = 0x9003, 0x9011, 0x9291
DIGITIZED, DATE_TIME, MAKE, MODEL = 0x9004, 0x0132, 0x010F, 0x0110
BERLIN = {1: "N", 2: (52.0, 31.0, 12.5), 3: "E", 4: (13.0, 24.0, 18.0)}


def local(*parts):
    """A time without a zone."""
    return datetime(*parts)  # noqa: DTZ001


def exif(main=None, inner=None, place=None):
    data = Image.Exif()
    data.update(main or {})
    data.get_ifd(0x8769).update(inner or {})
    data.get_ifd(0x8825).update(place or {})
    return data


def tiff(main, inner, place):
    """A TIFF has these tags of its own."""
    data = TiffImagePlugin.ImageFileDirectory_v2()
    data.update(main | {0x8769: inner, 0x8825: place})
    return data


def metadata(tmp_path, image_format="JPEG", **parts):
    path = tmp_path / "photo.bin"
    options = {"tiffinfo": tiff(**parts)} if image_format == "TIFF" else {"exif": exif(**parts)}
    path.write_bytes(encoded(gradient(), image_format, **options))
    return examine_image(path, None).traits.metadata


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF"])
def test_every_format_that_carries_exif(tmp_path, image_format):
    found = metadata(
        tmp_path,
        image_format,
        main={MAKE: "Canon", MODEL: "Canon EOS 5D", 0x0112: 6},
        inner={ORIGINAL: "2024:01:31 14:22:33", OFFSET: "+01:00", FRACTION: "120"},
        place=BERLIN,
    )
    time = datetime(2024, 1, 31, 14, 22, 33, 120_000, timezone(timedelta(hours=1)))
    assert (found.taken_at, found.camera) == (time, "Canon EOS 5D")
    assert (found.latitude, found.longitude) == (52.520139, 13.405)
    assert found.taken_at.utcoffset() == timedelta(hours=1)


def test_formats_without_exif_and_files_without_any(tmp_path):
    for image_format in ("GIF", "BMP", "JPEG", "PNG"):
        path = tmp_path / "photo.bin"
        path.write_bytes(encoded(gradient(), image_format))
        assert examine_image(path, None).traits.metadata == Metadata()


def test_all_that_is_known_of_the_capture_is_kept(tmp_path):
    inner = {
        0x829A: TiffImagePlugin.IFDRational(1, 250),
        0x829D: 2.8,
        0x8827: 400,
        0x920A: 50.0,
        0xA434: "EF50mm",
    }
    found = metadata(tmp_path, inner=inner, place=BERLIN | {5: b"\0", 6: 34.5})
    assert (found.iso, found.aperture, found.exposure_seconds) == (400, 2.8, 0.004)
    assert (found.focal_length, found.lens, found.altitude) == (50.0, "EF50mm", 34.5)
    assert found.exif["ISOSpeedRatings"] == 400
    assert found.exif["GPSLatitude"] == [52.0, 31.0, 12.5]
    assert found.sources["lens"] == "exif"


def test_the_offset_of_an_edit_is_not_the_captures(tmp_path):
    offset = 0x9010
    alone = {ORIGINAL: "2024:01:31 14:22:33", offset: "+01:00"}
    same = metadata(tmp_path, main={DATE_TIME: "2024:01:31 14:22:33"}, inner=alone)
    assert same.taken_at.utcoffset() == timedelta(hours=1)
    edited = metadata(tmp_path, main={DATE_TIME: "2024:06:01 10:00:00"}, inner=alone)
    assert edited.taken_at == local(2024, 1, 31, 14, 22, 33)


def test_the_time_of_an_edit_is_the_last_resort(tmp_path):
    found = metadata(tmp_path, main={DATE_TIME: "2024:06:01 10:00:00"})
    named = TimeClaim("2023-05-01T10:00:00", TakenFrom.NAME)
    assert best_time(found.times).source is TakenFrom.EDITED
    assert best_time([*found.times, named]) is named
    satellites = metadata(
        tmp_path,
        main={DATE_TIME: "2024:06:01 10:00:00"},
        place={7: (8.0, 30.0, 1.0), 29: "2022:03:04"},
    )
    assert satellites.taken_at == datetime(2022, 3, 4, 8, 30, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "clock",
    [
        "1970:01:01 01:00:00",
        "1969:12:31 23:00:00",
        "1980:01:01 00:03:00",
        "1904:01:01 00:00:00",
        "2000:01:01 00:00:00",
        "2000:01:01 03:12:45",
        "2002:12:08 12:00:00",
    ],
)
def test_a_clock_that_was_reset_says_nothing_unless_something_agrees(tmp_path, clock):
    found = metadata(tmp_path, main={DATE_TIME: clock}, inner={ORIGINAL: clock, DIGITIZED: clock})
    assert found.times
    assert found.taken_at is None
    day = found.times[0].time
    agreeing = TimeClaim(day.replace(hour=12).isoformat(), TakenFrom.DATE)
    assert best_time([*found.times, agreeing]) is found.times[0]
    other = TimeClaim("2011-05-06T12:00:00", TakenFrom.DATE)
    assert best_time([*found.times, other]) is other


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2004: 5: 7  9: 8: 7", local(2004, 5, 7, 9, 8, 7)),
        ("2004:05:07 09:08", local(2004, 5, 7, 9, 8)),
        ("2004-05-07T09:08:07.25", local(2004, 5, 7, 9, 8, 7, 250_000)),
        ("2004:05:07 09:08:  ", local(2004, 5, 7, 9, 8)),
    ],
)
def test_times_with_blanks_and_without_seconds(text, time):
    assert parse_time(text) == time


def test_raw_files_that_are_built_like_tiff(tmp_path):
    path = tmp_path / "photo.dng"
    path.write_bytes(dng(gradient(600, 400)))
    assert examine_image(path, None).traits.metadata.camera == "Test One"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"inner": {ORIGINAL: "2024:01:31 14:22:33"}}, local(2024, 1, 31, 14, 22, 33)),
        (
            {"inner": {ORIGINAL: "2004: 5: 7  8: 9: 0"}},  # two blanks become one on the way
            local(2004, 5, 7, 8, 9),
        ),
        (
            {"inner": {ORIGINAL: "0000:00:00 00:00:00", DIGITIZED: "2001:02:03 04:05:06"}},
            local(2001, 2, 3, 4, 5, 6),
        ),
        ({"main": {DATE_TIME: "1951:06:01 00:00:00"}}, local(1951, 6, 1)),
        ({"inner": {DIGITIZED: "    :  :     :  :  "}}, None),
    ],
)
def test_the_best_time_that_makes_sense_and_no_guessed_zone(tmp_path, tags, expected):
    assert metadata(tmp_path, **tags).taken_at == expected


@pytest.mark.parametrize(
    "text",
    [
        "0000:00:00 00:00:00",
        "1800:01:01 10:00:00",
        "2024:13:01 10:00:00",
        "2024:02:30 10:00:00",
        "2024:01:31 25:00:00",
        "2024:01:31",
        "",
        "yesterday",
        pytest.param(f"{datetime.now(UTC) + timedelta(days=3):%Y:%m:%d %H:%M:%S}", id="to come"),
        "9999:12:31 23:59:59",
    ],
)
def test_what_cannot_be_a_capture_time(text):
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("offset", "hours"),
    [("-03:30", -3.5), ("+0545", 5.75), ("Z", 0), ("", None), ("+15:00", None), ("local", None)],
)
def test_only_an_offset_that_is_stated_makes_a_zone(offset, hours):
    zone = parse_time("2024:01:31 14:22:33", offset).utcoffset()
    assert zone == (None if hours is None else timedelta(hours=hours))


@given(text=st.text(), offset=st.text(), fraction=st.text())
def test_no_text_breaks_the_parsing_of_times(text, offset, fraction):
    parse_time(text, offset, fraction)
    found = parse_time("2024:01:31 14:22:33", offset, fraction)
    assert found.replace(tzinfo=None, microsecond=0) == local(2024, 1, 31, 14, 22, 33)


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("Apple", "iPhone 15", "Apple iPhone 15"),
        ("", "X100", "X100"),
        ("FUJIFILM", "", "FUJIFILM"),
        ("Ca\x1b[31mnon\0junk", " EOS\n 5D ", "Ca [31mnon EOS 5D"),
        ("m" * 5000, "x" * 5000, "m" * 100),
        ("", "", None),
    ],
)
def test_camera_names(tmp_path, make, model, camera):
    assert metadata(tmp_path, main={MAKE: make, MODEL: model}).camera == camera


def test_south_and_west_are_negative(tmp_path):
    place = {1: "S", 2: (33.0, 51.0, 54.0), 3: "W", 4: (151.0, 12.0, 36.0)}
    found = metadata(tmp_path, place=place)
    assert (found.latitude, found.longitude) == (-33.865, -151.21)


@pytest.mark.parametrize(
    "change",
    [
        {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
        {2: (91.0, 0.0, 0.0)},
        {4: (181.0, 0.0, 0.0)},
        {2: (52.0, 75.0, 0.0)},
        {1: "X"},
        {3: ""},
        {2: (TiffImagePlugin.IFDRational(1, 0), 0.0, 0.0)},
        {2: None},
    ],
)
def test_a_place_that_makes_no_sense_is_none(tmp_path, change):
    place = {tag: value for tag, value in (BERLIN | change).items() if value is not None}
    found = metadata(tmp_path, place=place)
    assert (found.latitude, found.longitude) == (None, None)


def with_block(block: bytes) -> bytes:
    """A PNG with that EXIF block: chunks may be longer than a JPEG's 64 KiB."""
    data = encoded(gradient(), "PNG")
    chunk = b"eXIf" + block
    return (
        data[:33]
        + struct.pack(">I", len(block))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + data[33:]
    )


def directory(entries, following=0):
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + rows + struct.pack("<I", following)


HEAD = b"II*\0\x08\0\0\0"
HOSTILE = {
    "points to itself": HEAD + directory([(0x8769, 4, 1, 8), (0x8825, 4, 1, 8)], 8),
    "points outside": HEAD + directory([(0x8769, 4, 1, 0xFFFFFFF0), (MAKE, 2, 0xFFFFFFFF, 99)]),
    "counts too many": HEAD + struct.pack("<H", 0xFFFF) + bytes(40),
    "every entry claims all": HEAD
    + directory([(0x1000 + n, 7, 100_000, 8) for n in range(9_000)])
    + bytes(100_000),
    "too long": HEAD + directory([]) + bytes(MAX_EXIF_BYTES),
    "not a TIFF": b"junk" * 100,
    "empty": b"",
    "a time of numbers": HEAD + directory([(DATE_TIME, 4, 1, 7), (MAKE, 3, 2, 9)]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_lying_block_costs_nothing_but_itself(tmp_path, name):
    path = tmp_path / "photo.png"
    path.write_bytes(with_block(HOSTILE[name]))
    examined = examine_image(path, 100)
    assert examined.traits.metadata.camera in {None, "7"}
    assert examined.loaded.image.size == (100, 67)


@given(cut=st.integers(0, 400), position=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_damaged_block_never_raises(cut, position, byte):
    whole = bytearray(
        exif(main={MAKE: "Canon"}, inner={ORIGINAL: "2024:01:31 14:22:33"}, place=BERLIN).tobytes()
    )
    whole[position % len(whole)] = byte
    image = Image.open(io.BytesIO(encoded(gradient(8, 8), "PNG")))
    image.info["exif"] = bytes(whole[: len(whole) - cut % len(whole)])
    with decoder_errors(b""):  # as it is called
        assert isinstance(written_in(image), Metadata)


def test_degrees_may_be_any_kind_of_number():
    assert _degrees((Fraction(1, 2), 30, 0.0), "N", "NS") == 1.0
    assert _degrees(("1", "2", "3"), "N", "NS") is None


@pytest.mark.needs("exiftool")
def test_a_jpeg_2000_says_when_where_and_what(tmp_path):
    path = write(tmp_path / "a.jp2", gradient(120, 80), "JPEG2000")
    assert examine_image(path, None).traits.metadata == Metadata()
    said = {
        "EXIF:DateTimeOriginal": "2019:07:20 10:11:12", "EXIF:Model": "Scanner",
        "EXIF:GPSLatitude": "38.7", "EXIF:GPSLatitudeRef": "N", "EXIF:GPSLongitude": "9.1",
        "EXIF:GPSLongitudeRef": "W", "EXIF:Orientation#": "6", "XMP-dc:Subject": "beach",
    }  # fmt: skip
    flags = [f"-{name}={value}" for name, value in said.items()]
    subprocess.run(["exiftool", "-q", "-overwrite_original", *flags, path], check=True)
    examined = examine_image(path, None)
    found = examined.traits.metadata
    assert best_time(found.times).time == local(2019, 7, 20, 10, 11, 12)
    assert (found.camera, found.latitude, found.longitude) == ("Scanner", 38.7, -9.1)
    assert "beach" in str(found.xmp)
    assert examined.loaded.width == 120, "viewers do not turn a JPEG 2000 by its EXIF"

"""Photos that are written into keep everything but their words, and get it back to the byte."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from picture_captioner.errors import ConfigurationError, NotEmbeddableError, SidecarError
from picture_captioner.metadata.xmp_packet import XmpPacket
from picture_captioner.writeback import exiftool
from picture_captioner.writeback.containers import ContainerError, take_apart
from picture_captioner.writeback.embedded import put_photo, read_photo, with_words
from picture_captioner.writeback.exiftool import ExifTool
from picture_captioner.writeback.patch import Patch
from tests.needs import need
from tests.support import draw

PACKET = XmpPacket()
PACKET.set_default("dc:description", "A square in Rome, é")


@pytest.fixture
def tool(tmp_path):
    need("exiftool")
    with ExifTool(tmp_path / "work") as started:
        yield started
    assert not (tmp_path / "work").exists()


@given(old=st.binary(max_size=300), ours=st.binary(max_size=50), at=st.integers(0, 300))
def test_a_patch_leads_from_any_bytes_to_any_others(old, ours, at):
    picture = bytes(range(256)) * 64
    before, after = old + picture + old[:at], ours + picture[at:] + old
    patch = Patch.between(before, after)
    assert Patch.from_json(json.loads(json.dumps(patch.to_json()))).apply(after) == before


def test_a_patch_keeps_next_to_nothing_where_data_moved():
    blocks = [os.urandom(50_000) for _ in range(4)]
    before = b"head" + b"".join(blocks)
    after = b"longer head" + blocks[2] + b"-" + blocks[0] + blocks[3] + blocks[1] + b"tail"
    patch = Patch.between(before, after)
    assert patch.apply(after) == before
    assert len(patch.literal) < 20_000
    with pytest.raises(ValueError, match="does not fit"):
        patch.apply(b"another file")


def phone_jpeg(path):
    """ICC, comment, EXIF with a maker note, a second picture that MPF points to, a video behind."""
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6
    exif[34665] = {37500: b"MAKER\0note" * 9, 36867: "2019:06:01 12:00:00"}
    icc = b"\0\0\0\0prof" + bytes(120)
    draw(path, 3, (64, 48), exif=exif, icc_profile=icc, comment=b"theirs")
    data = path.read_bytes()
    second = data
    # MPF (CIPA DC-007): offsets count from its own header, which stands in an APP2 segment.
    start = data.index(b"\xff\xdb")
    head = b"MM\0*\0\0\0\x08" + struct.pack(">H", 3)
    head += struct.pack(">HHI4s", 0xB000, 7, 4, b"0100") + struct.pack(">HHII", 0xB001, 4, 1, 2)
    head += struct.pack(">HHII", 0xB002, 7, 32, 50) + struct.pack(">I", 0)
    body = b"MPF\0" + head
    whole = start + 2 + 2 + len(body) + 32 + len(data) - start
    offset = whole - (start + 8)
    body += struct.pack(">IIIHH", 0x20030000, whole, 0, 0, 0)
    body += struct.pack(">IIIHH", 0, len(second), offset, 0, 0)
    segment = b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body
    motion = b"\0\0\0\x18ftypmp42" + b"video" * 50
    path.write_bytes(data[:start] + segment + data[start:] + second + motion)
    return second, motion


def second_picture(data):
    at = data.index(b"MPF\0") + 4
    length, offset = struct.unpack_from(">II", data, at + 50 + 16 + 4)
    return data[at + offset : at + offset + length]


def test_a_phones_jpeg_keeps_its_second_picture_its_video_and_its_maker_note(tool, tmp_path):
    path = tmp_path / "p.jpg"
    second, motion = phone_jpeg(path)
    photo = read_photo(path)
    assert second_picture(photo.data) == second
    new = with_words(tool, photo, PACKET, None)
    assert second_picture(new.data) == second
    assert new.data.endswith(motion)
    assert new.patch.apply(new.data) == photo.data
    now = take_apart(new.data)
    assert (now.rest, now.exif) == (photo.parts.rest, photo.parts.exif)
    assert XmpPacket(now.xmp).text("dc:description") == "A square in Rome, é"
    path.write_bytes(new.data)
    with Image.open(path) as seen:
        assert seen.getexif()[274] == 6
        assert seen.info["icc_profile"]


def save(path, **options):
    if path.suffix in {".heic", ".avif"}:
        need("pillow_heif").register_heif_opener()
    picture = Image.effect_noise((96, 64), 60).convert("RGB")
    exif = Image.Exif()
    exif[271] = "Maker"
    picture.save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("p.jpg", {"progressive": True}),
        ("p.png", {}),
        ("p.tif", {}),
        ("l.tif", {"compression": "tiff_lzw"}),
        ("p.heic", {}),
        ("p.avif", {}),
    ],
)
def test_other_kinds_are_the_same_picture_and_go_back(tool, tmp_path, name, options):
    path = save(tmp_path / name, **options)
    photo = read_photo(path)
    packet = photo.packet()
    packet.set_default("dc:description", "A square in Rome, é")
    new = with_words(tool, photo, packet, None)
    assert new.patch.apply(new.data) == photo.data
    pixels = Image.open(path).tobytes()
    put_photo(photo, new.data, None)
    with Image.open(path) as again:
        assert again.tobytes() == pixels
        assert again.getexif()[271] == "Maker"
    assert read_photo(path).packet().text("dc:description") == "A square in Rome, é"


def test_exif_that_exiftool_would_lay_out_anew_is_put_back(tool, tmp_path):
    """Five of 14 photos had a layout of their own; here the values stand before the directory."""
    path = draw(tmp_path / "p.jpg", 1, (64, 48))
    make = b"A camera's maker\0"
    block = b"Exif\0\0II*\0" + struct.pack("<I", 8 + len(make)) + make
    block += struct.pack("<HHHII", 1, 271, 2, len(make), 8) + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    data = path.read_bytes()
    path.write_bytes(data[:2] + segment + data[2:])
    photo = read_photo(path)
    assert photo.parts.exif == (segment,)
    touched = tool.with_xmp(photo.data, ".jpg", PACKET.to_bytes(), None)
    assert take_apart(touched).exif != (segment,)
    assert take_apart(with_words(tool, photo, PACKET, None).data).exif == (segment,)


def test_what_would_change_more_than_words_is_refused(tool, tmp_path, monkeypatch):
    photo = read_photo(draw(tmp_path / "p.jpg", 1, (64, 48)))
    real = ExifTool.with_xmp

    def spoiled(self, *arguments):
        data = real(self, *arguments)
        return data[:-40] + bytes(8) + data[-32:]

    monkeypatch.setattr(ExifTool, "with_xmp", spoiled)
    with pytest.raises(NotEmbeddableError, match="more of it than its words"):
        with_words(tool, photo, PACKET, None)
    monkeypatch.setattr(ExifTool, "with_xmp", lambda *_: photo.data)
    with pytest.raises(NotEmbeddableError, match="not write what it was told"):
        with_words(tool, photo, PACKET, None)


def test_photos_that_cannot_be_written_into_say_why(tmp_path):
    jpeg = draw(tmp_path / "p.jpg", 1, (64, 48))
    (tmp_path / "link.jpg").symlink_to(jpeg)
    (tmp_path / "two.jpg").write_bytes(jpeg.read_bytes())
    os.link(tmp_path / "two.jpg", tmp_path / "names.jpg")
    (tmp_path / "p.bmp").write_bytes(b"BM")
    (tmp_path / "cut.jpg").write_bytes(jpeg.read_bytes()[:300])
    (tmp_path / "text.jpg").write_text("a shopping list")
    more = b"\xff\xe1" + struct.pack(">H", 100) + b"http://ns.adobe.com/xmp/extension/\0".ljust(98)
    (tmp_path / "long.jpg").write_bytes(b"\xff\xd8" + more + jpeg.read_bytes()[2:])
    for name, why in {
        "link.jpg": "is a link", "two.jpg": "2 names", "p.bmp": "nothing is written into .bmp",
        "cut.jpg": "ends too early", "text.jpg": "it is no JPEG", "long.jpg": "several segments",
    }.items():  # fmt: skip
        with pytest.raises(NotEmbeddableError, match=why):
            read_photo(tmp_path / name)
    jpeg.chmod(0o444)
    read_only = read_photo(jpeg)
    with pytest.raises(NotEmbeddableError, match="read-only"):
        put_photo(read_only, b"other", None)
    assert jpeg.read_bytes() == read_only.data


@given(data=st.binary(max_size=200), kind=st.sampled_from(
    [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"II*\0", b"\0\0\0\x18ftypheic"]
))  # fmt: skip
def test_whatever_stands_in_a_file_is_taken_apart_or_refused(data, kind):
    with suppress(ContainerError):
        take_apart(kind + data)


def test_owner_mode_times_and_attributes_stay(tool, tmp_path):
    path = draw(tmp_path / "p.jpg", 1, (64, 48))
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18 + 5))
    with_attribute = True
    try:
        os.setxattr(path, "user.note", b"theirs")
    except OSError:
        with_attribute = False
    photo = read_photo(path)
    new = with_words(tool, photo, PACKET, None)
    put_photo(photo, new.data, (photo.status.st_atime_ns, photo.status.st_mtime_ns))
    now = path.stat()
    assert (now.st_mode & 0o777, now.st_mtime_ns) == (0o640, 10**18 + 5)
    assert now.st_uid == photo.status.st_uid
    if with_attribute:
        assert os.getxattr(path, "user.note") == b"theirs"
    with pytest.raises(SidecarError, match="changed meanwhile"):
        put_photo(photo, photo.data, None)
    assert path.read_bytes() == new.data
    assert [p.name for p in tmp_path.glob(".*")] == []


def test_a_missing_old_or_broken_exiftool_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="apt-get install libimage-exiftool-perl"):
        ExifTool(tmp_path / "work").check()
    fake = tmp_path / "exiftool"
    for answer, why in {"11.88": "11.88 is too old", "Perl is broken": "does not start"}.items():
        fake.write_text(f"#!/bin/sh\nread order\necho {answer}\necho '{{ready}}'\n")
        fake.chmod(0o755)
        with pytest.raises(ConfigurationError, match=why), ExifTool(tmp_path / "work") as tool:
            tool.check()


def test_an_exiftool_that_hangs_or_dies_costs_one_photo(tmp_path, monkeypatch):
    need("exiftool")
    photo = read_photo(draw(tmp_path / "p.jpg", 1, (64, 48)))
    fake = tmp_path / "bin" / "exiftool"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    path = os.environ["PATH"]
    monkeypatch.setattr(exiftool, "PATIENCE", 0.3)
    monkeypatch.setenv("PATH", f"{fake.parent}:{path}")
    with ExifTool(tmp_path / "work") as tool:
        with pytest.raises(NotEmbeddableError, match="ended without a word"):
            with_words(tool, photo, PACKET, None)
        monkeypatch.setattr(exiftool, "PATIENCE", 60)
        monkeypatch.setenv("PATH", path)
        assert with_words(tool, photo, PACKET, None).data != photo.data


def test_other_programs_read_what_was_written(tool, tmp_path):
    path = draw(tmp_path / "p.jpg", 1, (64, 48))
    photo = read_photo(path)
    put_photo(photo, with_words(tool, photo, PACKET, None).data, None)
    said = subprocess.run(
        [need("exiv2"), "-g", "Xmp.dc.description", "-Pt", path], capture_output=True, check=True
    )
    assert "A square in Rome, é" in said.stdout.decode()

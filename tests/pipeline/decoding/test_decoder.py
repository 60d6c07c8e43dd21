"""A photo decoded elsewhere is the photo decoded here, in real processes of their own."""

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import ImageChops

from picture_captioner.backends.encoding import encode_jpeg
from picture_captioner.errors import (
    DecoderCrashError,
    EmptyFileError,
    TruncatedImageError,
    UnknownFormatError,
    UnreadableFileError,
)
from picture_captioner.image_loader.loading import examine_image, load_image, read_header
from picture_captioner.pipeline.decoding import opening
from picture_captioner.pipeline.decoding.decoder import DecodeLimits, Decoder
from picture_captioner.pipeline.decoding.decoder_process import DecoderProcess
from tests.images import encoded, exif, gradient, noise, write

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def loader():
    with Decoder() as loader:
        yield loader


def photo(tmp_path, name="photo.jpg", size=(120, 80)):
    return write(tmp_path / name, gradient(*size), "JPEG")


def worker_pid(loader):
    return loader._process._process.pid


def test_a_photo_arrives_as_if_decoded_here(tmp_path, loader):
    path = photo(tmp_path, size=(700, 300))
    here, there = load_image(path, 500), loader.load(path, 500)
    assert ImageChops.difference(here.image, there.image).getbbox() is None
    assert there.image.info == {}
    facts = ("content_sha256", "size", "mtime_ns", "width", "height", "format")
    assert [getattr(here, name) for name in facts] == [getattr(there, name) for name in facts]


def test_a_jpeg_made_there_is_the_one_that_would_be_made_here(tmp_path, loader):
    path = write(tmp_path / "a.jpg", noise(400, 300), "JPEG", exif=exif(6, description="secret"))
    here = load_image(path, 128).image
    there = loader.load(path, 128, jpeg_quality=70).image
    assert there.size == here.size == (96, 128)
    assert encode_jpeg(there, quality=70) == there.info["jpeg"] == encode_jpeg(here, quality=70)
    assert set(there.info) == {"jpeg", "jpeg_quality"}
    assert b"secret" not in there.info["jpeg"]
    # Another quality, or a limit it does not keep: from its pixels.
    assert len(encode_jpeg(there, quality=50)) < len(there.info["jpeg"])
    small = encode_jpeg(there, quality=70, max_bytes=len(there.info["jpeg"]) - 1)
    assert len(small) < len(there.info["jpeg"])
    known = loader.load(path, 128, {load_image(path, 128).content_sha256}, jpeg_quality=70)
    assert known.image is None


@pytest.mark.parametrize("said", [b"", b"not a JPEG", None])
def test_a_jpeg_that_makes_no_sense_is_a_crash_of_the_decoder(tmp_path, loader, said, monkeypatch):
    path = write(tmp_path / "a.jpg", gradient(), "JPEG")
    wrong = encode_jpeg(gradient(10, 10)) if said is None else said

    def lying(process, limit, seconds, overdue, receive=DecoderProcess.receive_bytes):
        data = receive(process, limit, seconds, overdue)
        return wrong if data.startswith(b"\xff\xd8") else data

    monkeypatch.setattr(DecoderProcess, "receive_bytes", lying)
    with pytest.raises(DecoderCrashError, match="makes no sense"):
        loader.load(path, 128, jpeg_quality=85)


def test_known_content_is_asked_for_once_and_not_decoded(tmp_path, loader):
    asked = []

    class Known:
        def __contains__(self, content_sha256):
            asked.append(content_sha256)
            return True

    path = photo(tmp_path)
    loaded = loader.load(path, 100, Known())
    assert (loaded.image, loaded.width) == (None, 0)
    assert asked == [loaded.content_sha256]


def test_an_examination_arrives_as_if_made_here(tmp_path, loader):
    place = exif(6)
    place.get_ifd(0x8769).update({0x9003: "2024:01:31 14:22:33", 0x9011: "-03:30"})
    place.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0), 3: "W", 4: (4.0, 5.0, 6.0)})
    path = write(tmp_path / "photo.jpg", gradient(700, 300), "JPEG", exif=place)
    here, there = examine_image(path, 500), loader.examine(path, 500)
    assert here.traits == there.traits
    assert there.traits.metadata.taken_at.utcoffset() == timedelta(hours=-3.5)
    assert there.traits.metadata.longitude == -4.085
    assert ImageChops.difference(here.loaded.image, there.loaded.image).getbbox() is None
    assert replace(here.loaded, image=None) == replace(there.loaded, image=None)
    assert loader.examine(path, None).loaded.image is None
    assert loader.examine(path, 500, {here.loaded.content_sha256}).traits is None
    assert loader.load(path, 10).image.size == (4, 10)


def test_a_thumbnail_of_noise_fits(tmp_path, loader):
    path = write(tmp_path / "photo.png", noise(320, 320), "PNG")
    examined = loader.examine(path, 320)
    assert len(examined.traits.thumbnail) > 1 << 14
    assert examined.loaded.image.size == (320, 320)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", EmptyFileError),
        (b"no picture", UnknownFormatError),
        (encoded(noise(200, 200), "PNG")[:20_000], TruncatedImageError),
        (None, UnreadableFileError),
    ],
)
def test_the_errors_of_the_loader_come_through(tmp_path, loader, data, kind):
    path = tmp_path / "photo.png"
    if data is not None:
        path.write_bytes(data)
    loader.load(photo(tmp_path), 10)
    process = worker_pid(loader)
    with pytest.raises(kind) as here:
        load_image(path, 100)
    with pytest.raises(kind) as there:
        loader.load(path, 100)
    with pytest.raises(kind):
        loader.examine(path, 100)
    assert (str(here.value), here.value.code) == (str(there.value), there.value.code)
    assert worker_pid(loader) == process


def test_names_in_no_encoding_are_found(tmp_path, loader):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \xf0\x9f\x93\xb7.jpg"))
    assert loader.load(photo(tmp_path, path.name), 100).image.size == (100, 67)


def test_headers_come_in_order_with_errors_in_place(tmp_path, loader):
    paths = [photo(tmp_path, f"{n}.jpg", (100 + n, 50)) for n in range(30)]
    paths[7].unlink()
    paths[9].write_bytes(b"no picture")
    headers = loader.read_headers(paths)
    for number, header in enumerate(headers):
        if number not in {7, 9}:
            assert header == read_header(paths[number])
    assert isinstance(headers[7], UnreadableFileError)
    assert isinstance(headers[9], UnknownFormatError)
    assert loader.read_headers([]) == []


def test_a_closed_loader_starts_another_process(tmp_path):
    loader = Decoder()
    path = photo(tmp_path)
    loader.load(path, 10)
    first = worker_pid(loader)
    loader.close()
    loader.close()
    loader.load(path, 10)
    assert worker_pid(loader) != first
    loader.close()


def test_a_process_is_replaced_after_so_many_photos(tmp_path):
    path = photo(tmp_path)
    with Decoder(DecodeLimits(photos_per_process=3)) as loader:
        seen = []
        for _ in range(7):
            loader.load(path, 10)
            seen.append(worker_pid(loader))
    assert [seen.count(pid) for pid in dict.fromkeys(seen)] == [3, 3, 1]


def test_a_process_that_dies_while_idle_costs_no_photo(tmp_path):
    path = photo(tmp_path)
    with Decoder() as loader:
        loader.load(path, 10)
        os.kill(worker_pid(loader), signal.SIGKILL)
        time.sleep(0.1)
        assert loader.load(path, 10).image.size == (10, 7)


def test_an_error_in_the_callers_set_leaves_a_usable_loader(tmp_path, loader):
    class Broken:
        def __contains__(self, content_sha256):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loader.load(photo(tmp_path), 10, Broken())
    assert loader.load(photo(tmp_path), 10).image.size == (10, 7)


def test_threads_with_a_loader_each_do_not_disturb_each_other(tmp_path):
    paths = [photo(tmp_path, f"{n}.jpg", (64 + n, 64)) for n in range(8)]
    wrong = []

    def work(number):
        with Decoder(DecodeLimits(photos_per_process=2)) as loader:
            for path in paths:
                loaded = loader.load(path, 32)
                if loaded.width != read_header(path).width:
                    wrong.append((number, path))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@linux_only
def test_no_descriptor_leaks(tmp_path):
    path = photo(tmp_path)
    with Decoder(DecodeLimits(photos_per_process=1)) as loader:
        loader.load(path, 10)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            loader.load(path, 10)
            worker = len(os.listdir(f"/proc/{worker_pid(loader)}/fd"))
        assert len(os.listdir("/proc/self/fd")) == before
        given = [f for f in os.listdir("/proc/self/fd") if Path("/proc/self/fd", f).exists()]
        from_the_shell = sum(int(f) > 2 and os.get_inheritable(int(f)) for f in given)
    assert worker - from_the_shell < 16  # 13, and the photo until it is closed


def test_what_took_a_photos_place_since_the_walk_is_not_read(tmp_path):
    photos, private = tmp_path / "photos", tmp_path / "private"
    for folder in (photos / "b", private):
        folder.mkdir(parents=True)
    paths = [photo(photos, name) for name in ("a.jpg", "b/c.jpg", "d.jpg")]
    photo(private, "c.jpg")
    paths[0].unlink()
    paths[0].symlink_to(private / "c.jpg")
    paths[1].unlink()
    paths[1].parent.rmdir()
    paths[1].parent.symlink_to(private)
    with Decoder(within=photos) as loader:
        for path in paths[:2]:
            with pytest.raises(UnreadableFileError, match="a link leads out of the photos"):
                loader.load(path, 64)
        assert loader.load(paths[2], 64).image.size == (64, 43)
        headers = loader.read_headers([paths[2], *paths[:2]])
        assert [getattr(header, "width", None) for header in headers] == [120, None, None]
    with Decoder() as loader:
        assert loader.load(paths[0], 64).image.size == (64, 43)


def test_a_photos_directory_that_is_a_link_is_the_directory_it_leads_to(tmp_path):
    for name in ("disk", "disk2"):
        (tmp_path / name).mkdir()
    photo(tmp_path / "disk", "a.jpg")
    (tmp_path / "photos").symlink_to(tmp_path / "disk")
    with Decoder(within=tmp_path / "photos") as loader:
        assert loader.load(tmp_path / "photos" / "a.jpg", 64).image.size == (64, 43)
        (tmp_path / "disk2" / "b.jpg").write_bytes((tmp_path / "disk" / "a.jpg").read_bytes())
        (tmp_path / "disk" / "b.jpg").symlink_to(tmp_path / "disk2" / "b.jpg")
        with pytest.raises(UnreadableFileError, match="a link leads out"):  # disk2 begins with disk
            loader.load(tmp_path / "photos" / "b.jpg", 64)


def no_proc(_):
    raise OSError("no /proc")


def test_without_a_proc_the_path_is_looked_up(tmp_path, monkeypatch):
    path = photo(tmp_path, "a.jpg")
    monkeypatch.setattr(opening.os, "readlink", no_proc)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert opening._real_path(descriptor, path) == str(path)
        path.unlink()
        assert opening._real_path(descriptor, path) == ""
    finally:
        os.close(descriptor)

"""One bad file costs one photo: real processes, faults from outside the product."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import ImageChops

from backends.encoding import encode_jpeg
from errors import (
    DecoderCrashError,
    EmptyFileError,
    ImageTooLargeError,
    TruncatedImageError,
    UnknownFormatError,
    UnreadableFileError,
)
from image_loader import examine_image, load_image, read_header
from pipeline.decoder_process import DecoderProcess
from pipeline.isolation import DecodeLimits, IsolatedLoader
from tests.images import dng_without_sensor_data, encoded, exif, faulty_png, gradient, noise, write

REPOSITORY = Path(__file__).parents[2]
FAULTS = REPOSITORY / "tests" / "faults" / "decoder"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def loader():
    with IsolatedLoader() as loader:
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
    loader = IsolatedLoader()
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
    with IsolatedLoader(DecodeLimits(photos_per_process=3)) as loader:
        seen = []
        for _ in range(7):
            loader.load(path, 10)
            seen.append(worker_pid(loader))
    assert [seen.count(pid) for pid in dict.fromkeys(seen)] == [3, 3, 1]


def test_a_process_that_dies_while_idle_costs_no_photo(tmp_path):
    path = photo(tmp_path)
    with IsolatedLoader() as loader:
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
        with IsolatedLoader(DecodeLimits(photos_per_process=2)) as loader:
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
    with IsolatedLoader(DecodeLimits(photos_per_process=1)) as loader:
        loader.load(path, 10)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            loader.load(path, 10)
            worker = len(os.listdir(f"/proc/{worker_pid(loader)}/fd"))
        assert len(os.listdir("/proc/self/fd")) == before
    assert worker < 12


# From here on the decoders are faulty: tests/faults/decoder says how.

SCENARIO = """
import json, sys, time
from pathlib import Path
from errors import CaptionerError
from pipeline.isolation import DecodeLimits, IsolatedLoader

def outcome(action):
    start = time.monotonic()
    try:
        result = action()
    except CaptionerError as error:
        kind, text = type(error).__name__, str(error)
    else:
        kind, text = "fine", f"{result.width}x{result.height}"
    return kind, text, time.monotonic() - start

if __name__ == "__main__":
    limits = DecodeLimits(**json.loads(sys.argv[1]))
    with IsolatedLoader(limits) as loader:
        print(json.dumps([outcome(lambda: loader.load(Path(p), 100)) for p in sys.argv[2:]]))
        headers = loader.read_headers([Path(p) for p in sys.argv[2:]])
        print(json.dumps([type(header).__name__ for header in headers]))
"""


def faulty_environment():
    path = os.pathsep.join([str(FAULTS), str(REPOSITORY)])
    return {**os.environ, "PYTHONPATH": path}


def run_scenario(tmp_path, paths, **limits):
    """Load every path, then read all headers: [(kind, text, seconds)], [kind]."""
    script = tmp_path / "scenario.py"
    script.write_text(SCENARIO)
    answer = subprocess.run(
        [sys.executable, "-W", "error", script, json.dumps(limits), *paths],
        capture_output=True,
        text=True,
        env=faulty_environment(),
        timeout=120,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    loads, headers = answer.stdout.splitlines()
    return json.loads(loads), json.loads(headers)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("crash", "DecoderCrashError", "crashed (SIGSEGV)"),
        ("kill", "DecoderCrashError", "was killed (SIGKILL)"),
        ("exit", "DecoderCrashError", "ended with exit code 3"),
        ("hang", "DecoderTimeoutError", "longer than 0.5 s"),
        ("interrupt", "fine", "120x80"),
    ],
)
def test_a_fault_costs_its_own_photo_only(tmp_path, fault, kind, words):
    paths = [
        photo(tmp_path, "a.jpg"),
        tmp_path / "b.png",
        tmp_path / "c.png",
        photo(tmp_path, "d.jpg"),
    ]
    paths[1].write_bytes(faulty_png(fault))
    paths[2].write_bytes(faulty_png(fault, "fault-open"))
    loads, headers = run_scenario(tmp_path, paths, decode_seconds=0.5, read_seconds=1)
    assert [load[0] for load in loads] == ["fine", kind, kind, "fine"]
    assert words in loads[1][1]
    assert words in loads[2][1]
    lost = {"fine": "ImageHeader", "DecoderTimeoutError": "UnreadableFileError"}.get(kind, kind)
    assert headers == ["ImageHeader", "ImageHeader", lost, "ImageHeader"]


@linux_only
def test_a_photo_may_not_take_more_memory_than_the_limit(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(faulty_png("allocate"))
    loads, _ = run_scenario(tmp_path, [path, photo(tmp_path)], memory_bytes=1 << 30)
    assert [load[0] for load in loads] == [ImageTooLargeError.__name__, "fine"]


def test_a_stalled_disk_is_no_verdict_and_has_a_clock_of_its_own(tmp_path):
    stalled = photo(tmp_path, "stalls-reading.jpg")
    loads, headers = run_scenario(
        tmp_path, [stalled, photo(tmp_path)], decode_seconds=30, read_seconds=0.5
    )
    assert [load[0] for load in loads] == ["UnreadableFileError", "fine"]
    assert loads[0][2] < 5
    assert headers == ["UnreadableFileError", "ImageHeader"]


def test_what_a_decoder_writes_to_stderr_does_not_disturb_the_display(tmp_path):
    path = tmp_path / "a.dng"
    path.write_bytes(dng_without_sensor_data())  # LibRaw complains from C
    loads, _ = run_scenario(tmp_path, [path])  # which sees that stderr stays empty
    assert [load[0] for load in loads] == ["TruncatedImageError"]


ENDLESS = """
import json, signal, sys, time
from pathlib import Path
from pipeline.isolation import DecodeLimits, IsolatedLoader

if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # finishes its photo first, as the program does
    loader = IsolatedLoader(DecodeLimits(**json.loads(sys.argv[2])))
    loader.load(Path(sys.argv[3]), 10)
    print(loader._process._process.pid, flush=True)
    if sys.argv[1] == "busy":
        loader.load(Path(sys.argv[4]), 10)
    if sys.argv[1] == "idle":
        time.sleep(600)
"""


@contextlib.contextmanager
def endless(tmp_path, state, **limits):
    """A parent in a process group of its own and the pid of its worker: `idle`, `busy`, `left`."""
    script, hang = tmp_path / "endless.py", tmp_path / "hang.png"
    script.write_text(ENDLESS)
    hang.write_bytes(faulty_png("hang"))
    arguments = [state, json.dumps(limits), str(photo(tmp_path)), str(hang)]
    parent = subprocess.Popen(
        [sys.executable, script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=faulty_environment(),
        start_new_session=True,
    )
    with parent:
        worker = int(parent.stdout.readline())
        try:
            yield parent, worker
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(parent.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


def alive(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def ends(pid, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not alive(pid):
            return True
        time.sleep(0.02)
    return False


@linux_only
def test_an_idle_worker_ends_with_its_parent(tmp_path):
    with endless(tmp_path, "idle") as (parent, worker):
        parent.kill()
        assert ends(worker, 5)


@linux_only
def test_a_busy_worker_ends_after_its_parent_by_its_own_alarm(tmp_path):
    limits = {"decode_seconds": 2, "read_seconds": 1, "orphan_seconds": 0}
    with endless(tmp_path, "busy", **limits) as (parent, worker):
        time.sleep(0.5)  # it hangs now, and looks at no pipe
        parent.kill()
        assert not ends(worker, 1)
        assert ends(worker, 5)


@linux_only
def test_a_loader_that_nobody_closed_does_not_keep_the_program_from_ending(tmp_path):
    with endless(tmp_path, "left") as (parent, worker):
        assert parent.wait(5) == 0
        assert parent.stderr.read() == b""
        assert ends(worker, 5)


@linux_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_group_does_not_touch_the_worker(tmp_path, number):
    with endless(tmp_path, "busy") as (parent, worker):
        os.killpg(parent.pid, number)
        time.sleep(0.3)
        assert parent.poll() is None
        assert alive(worker)

"""One bad file costs one photo: faulty decoders, and a parent that dies or is told to stop."""

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.scenario import faulty_environment, run_scenario
from tests.images import dng_without_sensor_data, encoded, faulty_png, gradient, write

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def photo(tmp_path, name="photo.jpg", size=(120, 80)):
    return write(tmp_path / name, gradient(*size), "JPEG")


EXPECTED = {  # while decoding, and what reading the header of `fault-open` says
    "crash": ("decoder_crash", "crashed (SIGSEGV)", "decoder_crash"),
    "kill": ("decoder_crash", "was killed (SIGKILL)", "decoder_crash"),
    "exit": ("decoder_crash", "ended with exit code 3", "decoder_crash"),
    "hang": ("decoder_timeout", "longer than 1 s", "unreadable"),
    "interrupt": ("picture", "120x80", "header"),
}


def test_a_fault_costs_its_own_photo_only(tmp_path):
    paths = [photo(tmp_path, "first.jpg")]
    for fault in EXPECTED:
        for keyword in ("fault", "fault-open"):
            paths.append(tmp_path / f"{fault} {keyword}.png")
            paths[-1].write_bytes(faulty_png(fault, keyword))
            paths.append(photo(tmp_path, f"after {fault} {keyword}.jpg"))
    loads, headers = run_scenario(tmp_path, paths, decode_seconds=1, read_seconds=2)
    for path, load, header in zip(paths, loads, headers, strict=True):
        fault, _, keyword = path.stem.partition(" ")
        code, words, broken_header = EXPECTED.get(fault, ("picture", "120x80", "header"))
        assert load.code == code, path.name
        assert words in load.text
        assert header == (broken_header if keyword == "fault-open" else "header"), path.name


@linux_only
def test_a_photo_may_not_take_more_memory_than_the_limit(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(faulty_png("allocate"))
    loads, _ = run_scenario(tmp_path, [path, photo(tmp_path)], memory_bytes=1 << 30)
    assert [load.code for load in loads] == ["too_large", "picture"]


def test_a_stalled_disk_is_no_verdict_and_has_a_clock_of_its_own(tmp_path):
    stalled = photo(tmp_path, "stalls-reading.jpg")
    loads, headers = run_scenario(
        tmp_path, [stalled, photo(tmp_path)], decode_seconds=30, read_seconds=0.5
    )
    assert [load.code for load in loads] == ["unreadable", "picture"]
    assert loads[0].seconds < 5
    assert headers == ["unreadable", "header"]


def test_what_a_decoder_writes_to_stderr_does_not_disturb_the_display(tmp_path):
    raw, samples = tmp_path / "a.dng", tmp_path / "a.tif"
    raw.write_bytes(dng_without_sensor_data())  # LibRaw complains from C
    tiff = encoded(gradient(), "TIFF")
    row = struct.pack("<HHII", 277, 3, 1, 3)
    assert row in tiff
    samples.write_bytes(tiff.replace(row, row[:8] + b"\xff\xff\0\0"))  # Pillow logs an error
    loads, _ = run_scenario(tmp_path, [raw, samples])  # which sees that stderr stays empty
    assert [load.code for load in loads] == ["truncated", "unknown_format"]


ENDLESS = """
import json, signal, sys, time
from pathlib import Path
from picture_captioner.pipeline.decoding.decoder import DecodeLimits, Decoder

if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # finishes its photo first, as the program does
    loader = Decoder(DecodeLimits(**json.loads(sys.argv[2])))
    loader.load(Path(sys.argv[3]), 10)
    print(loader._process._process.pid, flush=True)
    if sys.argv[1] == "busy":
        loader.load(Path(sys.argv[4]), 10)
    if sys.argv[1] == "idle":
        time.sleep(600)
"""


IMPORTED = """
import sys
from pathlib import Path
from picture_captioner.pipeline.decoding.decoder import Decoder

if __name__ == "__main__":
    Decoder().load(Path(sys.argv[1]), 10)
else:
    Path(sys.argv[2]).touch()
"""


def test_a_worker_does_not_import_the_program_that_started_it(tmp_path):
    """`caption.py` would bring the whole command line into each, 0.1 s of processor time."""
    script, imported = tmp_path / "program.py", tmp_path / "imported"
    script.write_text(IMPORTED)
    command = [sys.executable, script, photo(tmp_path), imported]
    subprocess.run(command, env=faulty_environment(), check=True, timeout=60)
    assert not imported.exists()


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

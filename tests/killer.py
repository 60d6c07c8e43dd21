"""A caption backend whose process dies of some photos, as of a bug in a GPU's driver."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.loop_harness import Loop
from tests.support import caption, effective, records

KILLER = '''
import os, signal, threading, time
from picture_captioner.backends.base import BackendOptions, Caption, CaptionBackend

class Driver(CaptionBackend):
    """Dies of a photo that is all magenta."""
    name = "driver"
    summary = "a model behind a bad driver in a test"
    default_model = "driver-1"
    default_workers = 4

    class Options(BackendOptions):
        signal: str = "SIGSEGV"
        delay: float = 0.0
        log: str = ""
        harmless: bool = False      # the driver was mended
        dies_of_all: bool = False

    def caption(self, image, hints):
        options = self.settings.options
        red, green, blue = image.getpixel((20, 20))
        if options.log:
            with open(options.log, "a") as log:
                log.write(f"{red},{green},{blue}\\n")
        time.sleep(options.delay)
        magenta = red > 200 and green < 60 and blue > 200 and not options.harmless
        if magenta or options.dies_of_all:
            os.kill(os.getpid(), signal.Signals[options.signal])
            time.sleep(5)
        return Caption(f"Red {red}.", requests=1)

class Batches(Driver):
    name = "batches"
    batch_size = 8

    def caption_batch(self, images, hints):
        return [self.caption(image, h) for image, h in zip(images, hints)]

class Single(Driver):
    name = "single"
    default_workers = 1
'''


def install_killer(folder: Path) -> str:
    """Put the plugin where PYTHONPATH finds it; returns that path."""
    info = folder / "test_killer-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "test_killer.py").write_text(KILLER, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: test-killer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[picture_captioner.backends]\n"
        "driver = test_killer:Driver\n"
        "batches = test_killer:Batches\n"
        "single = test_killer:Single\n"
    )
    return str(folder)


def draw_killer(path: Path, mark: int = 0) -> Path:
    """A magenta photo; its bytes differ from mark to mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (48, 36), (250, 10, 250))
    image.putpixel((47, 35), (mark % 256, 0, 0))
    image.save(path)
    return path


def run_driver(cwd: Path, plugin: str, *arguments: object, backend: str = "driver"):
    """Run with that backend on `photos`."""
    flags = ("--photos-dir=photos", "--decode-workers=1", f"--backend={backend}")
    return caption("run", *flags, *arguments, cwd=cwd, PYTHONPATH=plugin)


def killing_loop(folder: Path, plugin: str) -> Loop:
    """The real loop and the real program, on 39 photos that are fit to be seen."""
    loop = Loop(folder).drive_the_real_program(39)
    loop.env["PYTHONPATH"] = plugin
    loop.photos = loop.cwd / "my photos"
    loop.seconds = 250
    return loop


def run_to_the_end(loop: Loop, backend: str, *flags: str):
    """What the loop said on the way to exit code 0."""
    done = loop.run(backend, "--photos-dir", "my photos", "--decode-workers=1", *flags)
    assert done.returncode == 0, done.stderr
    return done


def guilty(journal: Path) -> set[str]:
    """Names of those whom the journal blames; the others must all have a caption."""
    found = effective(journal)
    assert len(found) == len(records(journal)), "nobody has two records"
    failed = {name: r for name, r in found.items() if r["status"] != "success"}
    assert {(r["status"], r["error"]["code"]) for r in failed.values()} <= {
        ("error_model", "process_died")
    }
    return set(failed)

"""A caption backend whose process dies of some photos, as of a bug in a GPU's driver."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.support import caption, effective, install_package, records

KILLER = '''
import os, signal, sys, time
from picture_captioner.backends.base import BackendOptions, Caption, CaptionBackend
from picture_captioner.errors import DeviceLostError

class Driver(CaptionBackend):
    """Dies of a photo that is all magenta, in the way that its red says."""
    name = "driver"
    summary = "a model behind a bad driver in a test"
    default_model = "driver-1"
    own_process = True
    max_workers = 1
    batch_threads = 2

    class Options(BackendOptions):
        batch: int = 4
        delay: float = 0.0
        log: str = ""
        harmless: bool = False      # the driver was mended
        dies_of_all: str = ""       # the way in which it dies of every picture
        once: str = ""              # a file: the first death makes it, and is the only one
        loading: str = ""           # the way in which it dies while it loads
        raises: str = ""            # what it says of every picture
        but_plain: bool = False     # save the plain one

    @property
    def batch_now(self):
        return self.settings.options.batch

    @property
    def batch_limit(self):
        return self.settings.options.batch

    def check(self):
        self._die(self.settings.options.loading)

    def caption(self, image, hints, fault=None):
        (answer,) = self.caption_batch([image], [hints])
        return answer

    def caption_batch(self, images, hints):
        self.on_device()
        return [self._one(image) for image in images]

    def _one(self, image):
        options = self.settings.options
        red, green, blue = image.getpixel((20, 20))
        if options.log:
            with open(options.log, "a") as log:
                log.write(f"{red},{green},{blue}\\n")
        time.sleep(options.delay)
        ways = {250: "SIGSEGV", 240: "SIGABRT", 230: "SIGKILL", 220: "exit", 210: "hang",
                200: "lost"}
        if green < 5 and blue > 250 and not options.harmless:
            self._die(ways[min(ways, key=lambda r: abs(r - red))])
        self._die(options.dies_of_all)
        if options.raises and not (options.but_plain and image.width == 256):
            raise RuntimeError(options.raises)
        return Caption(f"Red {red}.", requests=1)

    def _die(self, way):
        once = self.settings.options.once
        if not way or (once and os.path.exists(once)):
            return
        if once:
            open(once, "w").close()
        sys.stderr.write("the driver says why\\n")
        sys.stderr.flush()
        if way == "exit":
            os._exit(3)
        if way == "lost":
            raise DeviceLostError("CUDA error: unspecified launch failure")
        if way.startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[way])
        time.sleep(600)
'''

WAYS = {"SIGSEGV": 250, "SIGABRT": 240, "SIGKILL": 230, "exit": 220, "hang": 210, "lost": 200}


def install_killer(folder: Path) -> str:
    """A package with the backend `driver`."""
    return install_package(folder, {"test_killer": KILLER}, "driver = test_killer:Driver")


def draw_killer(path: Path, way: str = "SIGSEGV", mark: int = 0) -> Path:
    """A magenta photo of which the process dies in this way; bytes differ from mark to mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (48, 36), (WAYS[way], 0, 255))
    image.putpixel((47, 35), (mark % 256, 0, 0))
    image.save(path)
    return path


def run_driver(cwd: Path, plugin: str, *arguments: object, timeout: float = 60):
    """Run with that backend on `photos`."""
    flags = ("--photos-dir=photos", "--decode-workers=1", "--backend=driver")
    return caption("run", *flags, *arguments, cwd=cwd, PYTHONPATH=plugin, timeout=timeout)


def guilty(journal: Path) -> dict[str, str]:
    """Name and code of those whom the journal blames; the others must all have a caption."""
    found = effective(journal)
    assert len(found) == len(records(journal)), "nobody has two records"
    failed = {name: r for name, r in found.items() if r["status"] != "success"}
    assert {r["status"] for r in failed.values()} <= {"error_model"}
    return {name: r["error"]["code"] for name, r in failed.items()}

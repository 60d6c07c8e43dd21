"""The backend `local` in whose `generate` photos of one colour do what a bad driver does."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.support import install_package

PLUGIN = """
import os, signal, threading, time
from picture_captioner.backends import local_engine
from picture_captioner.backends.local_hf import LocalBackend, LocalOptions

WAYS = {250: signal.SIGSEGV, 220: signal.SIGABRT, 190: signal.SIGKILL, 160: "exit", 130: "hang"}
INSIDE = set()

class FaultyOptions(LocalOptions):
    once: str = ""

class Faulty(LocalBackend):
    name = "faulty"
    Options = FaultyOptions

    def __init__(self, settings):
        super().__init__(settings)
        self._options = settings.options

    def check(self):
        once = self.settings.options.once
        if once and not os.path.exists(once):
            open(once, "w").close()
            os.kill(os.getpid(), signal.SIGSEGV)
            time.sleep(600)
        super().check()
        engine, generate = self._engine, self._engine.generate
        prepare = engine.prepare

        def preparing(images, questions):
            prepared = prepare(images, questions)
            INSIDE.add(id(prepared))
            with open(once + ".inside", "a") as file:
                file.write(f"{len(INSIDE)}\\\\n")
            self._culprits[id(prepared)] = [culprit(image) for image in images]
            return prepared

        def generating(prepared, *more):
            for way in self._culprits.pop(id(prepared)):
                die(way)
            try:
                return generate(prepared, *more)
            finally:
                INSIDE.discard(id(prepared))

        self._culprits = {}
        engine.prepare, engine.generate = preparing, generating

def culprit(image):
    red, green, blue = image.getpixel((20, 20))
    return WAYS[min(WAYS, key=lambda r: abs(r - red))] if green < 8 and blue > 245 else None

def die(way):
    if way is None:
        return
    if way == "exit":
        os._exit(3)
    if way != "hang":
        os.kill(os.getpid(), way)
    time.sleep(600)
"""

RED = {"SIGSEGV": 250, "SIGABRT": 220, "SIGKILL": 190, "exit": 160, "hang": 130}


def install_faulty(folder: Path) -> str:
    """A package with the backend `faulty`."""
    source = PLUGIN.replace("\\\\n", "\\n")
    return install_package(folder, {"test_faulty": source}, "faulty = test_faulty:Faulty")


def draw_culprit(path: Path, way: str) -> Path:
    """A photo at which the model does this."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (48, 36), (RED[way], 0, 255)).save(path)
    return path

"""exiftool, a program of its own, kept open: the only one that changes metadata inside photos.

It is handed copies in a folder of ours, by names of ours, and never sees a photo's path or folder;
what it wrote is looked at before it takes the photo's place. Licence and authors are its own
(https://exiftool.org).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Self

from picture_captioner.errors import ConfigurationError, NotEmbeddableError, SidecarError

OLDEST = (12, 24)
"""12.24 (April 2021) is the first that runs no code which a file brings along (CVE-2021-22204)."""
_ELSEWHERE = ("ImageDescription", "Offset", "Offsets", "Start", "SourceFile")
_READY = b"{ready}\n"
PATIENCE = 120.0
"""Seconds for one photo; real ones took a tenth of a second."""

_ENDS_WITH_US = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
"""Linux kills it when we are killed; else it would wait for orders without end."""


class ExifTool:
    """One process, started at the first photo.

    Args:
        folder: where it works; made here, for the owner alone, and gone at the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        remove(self._folder)

    def check(self) -> str:
        """Its version.

        Raises:
            ConfigurationError: it is missing, does not start, or is too old.
        """
        if shutil.which("exiftool") is None:
            raise ConfigurationError(
                "writing into photos is done by exiftool, a program of its own, which is not on "
                f"PATH: {_INSTALL}; --to sidecar needs none"
            )
        version = self._ask(["-ver"]).strip()
        numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
        if len(numbers) != 2:
            raise ConfigurationError(f"exiftool does not start: {version[:200]}; {_INSTALL}")
        if numbers < OLDEST:
            raise ConfigurationError(
                f"exiftool {version} is too old: before {'.'.join(map(str, OLDEST))} it runs code "
                f"that a file brings along (CVE-2021-22204); {_INSTALL}"
            )
        return version

    def with_xmp(self, data: bytes, suffix: str, packet: bytes, description: str | None) -> bytes:
        """A photo's bytes with this XMP packet, and this EXIF description if one is given.

        Raises:
            NotEmbeddableError: exiftool cannot, and why.
            SidecarError: the disk that it works on is full.
        """
        source, target = (self._folder / f"{name}{suffix}" for name in ("photo", "new"))
        words = {"-XMP": packet}
        if description is not None:
            words["-EXIF:ImageDescription"] = description.encode()
        try:
            self._started()
            target.unlink(missing_ok=True)
            source.write_bytes(data)
            orders = ["-charset", "exif=UTF8"]
            for number, (tag, value) in enumerate(words.items()):
                file = self._folder / f"words{number}"
                file.write_bytes(value)
                orders.append(f"{tag}<={file}")
            said = self._ask([*orders, "-o", str(target), str(source)])
            written = target.read_bytes() if target.exists() else b""
        except OSError as error:
            raise SidecarError(f"cannot write in {self._folder}: {error.strerror}") from error
        if not written:
            raise NotEmbeddableError(f"exiftool cannot write into it ({_reason(said)})")
        return written

    def description_in(self, data: bytes, suffix: str) -> str:
        """The EXIF description in a photo's bytes; "" if it has none.

        Raises:
            SidecarError: the disk that it works on is full.
        """
        return self._read(data, suffix, ["-b", "-EXIF:ImageDescription"])

    def other_exif(self, data: bytes, suffix: str) -> dict[str, object]:
        """All that EXIF and maker notes say but the description and where things lie.

        Raises:
            NotEmbeddableError: it cannot be read.
            SidecarError: the disk that it works on is full.
        """
        wanted = ["-j", "-G1", "-a", "-u", "-b", "-EXIF:All", "-MakerNotes:All"]
        try:
            said = json.loads(self._read(data, suffix, wanted))[0]
        except (ValueError, LookupError):
            raise NotEmbeddableError("exiftool cannot read its EXIF") from None
        return {n: v for n, v in said.items() if not n.endswith(_ELSEWHERE)}

    def _read(self, data: bytes, suffix: str, wanted: list[str]) -> str:
        source = self._folder / f"photo{suffix}"
        try:
            self._started()
            source.write_bytes(data)
        except OSError as error:
            raise SidecarError(f"cannot write in {self._folder}: {error.strerror}") from error
        return self._ask(["-charset", "exif=UTF8", *wanted, str(source)])

    def _ask(self, orders: list[str]) -> str:
        """What it answers to one command."""
        process, stdin, stdout = self._started()
        clock = threading.Timer(PATIENCE, process.kill)
        clock.start()
        answer = b""
        try:
            stdin.write("".join(f"{order}\n" for order in (*orders, "-execute")).encode())
            stdin.flush()
            while not answer.endswith(_READY) and (line := stdout.readline()):
                answer += line
        except BrokenPipeError:
            answer = b""
        finally:
            clock.cancel()
        if not answer.endswith(_READY):  # it is started again for the next photo
            self._stop()
            return answer.decode("utf-8", "replace") or "it ended without a word"
        return answer.removesuffix(_READY).decode("utf-8", "replace")

    def _started(self) -> tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]:
        if self._process is None:
            # It works with a copy of each photo here.
            self._folder.mkdir(mode=0o700, exist_ok=True)
            # -config "": what somebody set up for exiftool does not change what is written.
            command = ["exiftool", "-config", "", "-stay_open", "True", "-@", "-"]
            if sys.platform == "linux":
                command = [sys.executable, "-I", "-S", "-c", _ENDS_WITH_US, *command]
            self._process = subprocess.Popen(  # noqa: S603 - one program, on copies of ours
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("exiftool was started without its pipes")
        return self._process, self._process.stdin, self._process.stdout

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            process.communicate(b"-stay_open\nFalse\n", timeout=5)
        process.kill()
        process.wait()


_INSTALL = "apt-get install libimage-exiftool-perl, or brew install exiftool"


def _reason(said: str) -> str:
    """Its own sentence, without the path of our copy."""
    for line in said.splitlines():
        if line.startswith(("Error:", "Can't", "Warning:")):
            return line.partition(" - /")[0].removeprefix("Error: ")[:200]
    return said.strip().splitlines()[-1][:200] if said.strip() else "it says nothing"


def work_folder(journal: Path) -> Path:
    """Where it works, with a copy of one photo: beside the journal, gone afterwards."""
    return journal.with_name(f".{journal.stem}.exiftool")


def remove(folder: Path) -> None:
    """Remove the folder that it worked in, also one that a killed process left."""
    shutil.rmtree(folder, ignore_errors=True)

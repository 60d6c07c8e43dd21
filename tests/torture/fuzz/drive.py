"""Lets atheris look for the input that breaks a target, guided by the lines that inputs reach.

    python -m tests.torture.fuzz.drive TARGET FOLDER [libFuzzer options]

A process of its own: libFuzzer never returns. FOLDER gets the corpus, and the input of a crash.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import atheris

PRODUCT = ["backends", "commands", "config", "image_loader", "journal", "library", "pipeline"]
PLANTED = "tests.torture.fuzz.targets"


def main(name: str, folder: Path, *options: str) -> None:
    """Fuzz one target until the options say that it is enough."""
    with atheris.instrument_imports(include=[*PRODUCT, PLANTED], enable_loader_override=False):
        from tests.torture.fuzz.targets import BY_NAME
    target = BY_NAME[name]
    corpus, place = folder / "corpus", folder / "place"
    corpus.mkdir(parents=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))

    def once(data: bytes) -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        target.check(data, place)

    where = [f"-dict={words}", f"-artifact_prefix={folder}/", str(corpus)]
    atheris.Setup([sys.argv[0], *options, *where], once)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])

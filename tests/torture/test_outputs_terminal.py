"""What reaches a terminal is text and our own bar: no byte that moves, colours, asks or rings."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from tests.support import draw, environment, install_package, records
from tests.torture.one_process import command
from tests.torture.payloads import as_name, escapes, everything

PLUGIN = '''
"""A backend whose answers, errors and status are the next of a list of hostile texts."""
import itertools, json
from pathlib import Path
from picture_captioner.backends.base import BackendOptions, Caption, CaptionBackend
from picture_captioner.errors import ApiError, ModelError

class Hostile(CaptionBackend):
    name = "hostile"
    summary = "\\x1b[31mred\\u202e"
    default_model = "m\\x1b]0;title\\x07\\u202e"

    class Options(BackendOptions):
        texts: str = "texts.json"

    def __init__(self, settings):
        super().__init__(settings)
        self.texts = itertools.cycle(json.loads(Path(settings.options.texts).read_text()))
        self.turn = itertools.count()

    def status(self):
        return next(self.texts)

    def caption(self, image, hints):
        text = next(self.texts)
        match next(self.turn) % 4:
            case 0: raise ApiError(text, code="policy")
            case 1: raise ModelError(text, code=text)
            case 2: raise ValueError(text)
        return Caption("A boat alert " + text, model_version=text)
'''
RUN = "caption run --backend=hostile --max-workers=1"
COMMANDS = [
    [*RUN.split(), "--prompt=\x1b[2J", "--hints=hints.jsonl"], [*RUN.split(), "--retry-status=all"],
    ["caption", "run", "--dry-run"], ["caption", "run", "--no\x1b[31m"], ["caption", "stats"],
    ["caption", "run", "--backend=moc\x9b1m\u202e"], ["caption", "run", "--photos-dir=\x1b[2J"],
    ["caption", "search", "alert", "--limit=1000"],
    ["caption", "search", "\x1b]0;x\x07 \u202ezebra"], ["caption", "search", "alert", "--json"],
    ["caption", "stats", "--json"], ["caption", "estimate", "--backend=template"],
    ["caption", "journal", "check"], ["caption", "compare", "--backends=template:\x1b[2J"],
    ["caption", "backends"], ["cluster_report", "--no-photos", "--engine=none", "--out=out\x1b[2J"],
    ["cluster_report", "--no-photos", "--vocabulary=terms"],
    ["cluster_report", "--no-photos", "--engine=\x1b[2J"],
    ["cluster_report", "--no-photos", "--engine=none", "--json"],
]  # fmt: skip
QUICK = [0, 2, 4, 5, 7, 10, 12]

BAR = re.compile(r"\r(?= *\d+%\|)|\r +\r")
"""tqdm goes back to the beginning of its line to draw it anew, or wipes it for a sentence."""


@pytest.fixture
def here(tmp_path: Path, share) -> Path:
    texts = [t for t in everything()[:: share(50, 2)] if len(t) < 500]
    texts += escapes()[:: share(9, 1)]
    for i, text in enumerate(texts):
        draw(tmp_path / "photos" / as_name(text, i), seed=i, format="JPEG")
    (tmp_path / "photos" / as_name("\x1b[2Jbroken", 0)).write_bytes(b"no picture\x1b[2J")
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    hints = [{"rel_path": t, "tags": [t]} for t in texts]
    (tmp_path / "hints.jsonl").write_text("".join(json.dumps(h) + "\n" for h in hints))
    (tmp_path / "terms").write_text("\x1b[2J\n\u202e\n", "utf-8")
    install_package(tmp_path / "plugin", {"hostile": PLUGIN}, "hostile = hostile:Hostile")
    return tmp_path


def in_a_terminal(here: Path, commands: list[list[str]]) -> tuple[bytes, list[int]]:
    """All that the commands write to a terminal of 200 columns, and their exit codes."""
    terminal, side = pty.openpty()
    subprocess.run(["stty", "rows", "50", "cols", "200", "-opost"], stdin=side, check=True)
    reading, writing = os.pipe()
    run = command(commands, writing)
    with subprocess.Popen(
        run,
        cwd=here,
        env=environment(PYTHONPATH=str(here / "plugin"), PHOTOS_DIR="photos", TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=side,
        stderr=side,
        pass_fds=[writing],
    ):
        os.close(side)
        os.close(writing)
        said = b"".join(iter(lambda: _read(terminal), b""))
    os.close(terminal)
    with open(reading) as codes:
        return said, [int(code) for code in codes]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux says so when the other side is closed
        return b""


def obeyed(said: bytes) -> set[str]:
    """Characters that a terminal would obey, besides line ends and what the bar does."""
    text = BAR.sub("", said.decode("utf-8"))
    kinds = {c: unicodedata.category(c) for c in set(text)}
    return {c for c, kind in kinds.items() if kind in {"Cc", "Cf", "Zl", "Zp"}} - set("\n\t\u200d")


@pytest.mark.timeout(900)
def test_nothing_that_a_name_or_answer_holds_is_obeyed(here, share, tried):
    commands = [COMMANDS[i] for i in share(QUICK, list(range(len(COMMANDS))))]
    said, codes = in_a_terminal(here, commands)
    assert len(codes) == len(commands), said[-2000:].decode(errors="replace")
    assert 1 not in codes, said[-2000:].decode(errors="replace")
    assert obeyed(said) == set()
    assert b"photo/s" in said, "the bar was drawn"
    assert b"\\x1b" in said and b"\\u202e" in said, "what was taken out is shown"
    assert not re.search("[\u0300-\u036f]{9}", said.decode()), "marks are not piled up"
    log = (here / "caption.log").read_bytes()
    assert not re.search(rb"[^\n\x20-\x7e]", log)
    assert all(json.loads(line) for line in log.splitlines())
    tried("hostile texts shown in a terminal", len(records(here / "captions.jsonl")))


def test_json_on_a_pipe_is_exact(here):
    texts = json.loads((here / "texts.json").read_text())
    lines = [{"rel_path": f"{i}.jpg", "caption": f"alert {t}", "status": "success", "model": t}
             for i, t in enumerate(texts)]  # fmt: skip
    (here / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = []
    for arguments in ("search", "alert", "--limit=10000", "--json"), ("stats", "--json"):
        done = subprocess.run(
            [sys.executable, str(Path(__file__).parents[2] / "caption.py"), *arguments],
            cwd=here, env=environment(), capture_output=True, check=True,
        )  # fmt: skip
        assert re.fullmatch(rb"[\x20-\x7e]+\n", done.stdout)
        found.append(json.loads(done.stdout))
    hits, stats = found
    assert set(stats["by_model"]) == set(texts)
    captions = {hit["rel_path"]: hit["caption"] for hit in hits}
    exact = {line["rel_path"]: line["caption"] for line in lines}
    surrogates = {
        p for p, c in exact.items() if not c.isascii() and re.search("[\ud800-\udfff]", c)
    }
    assert {p: c for p, c in captions.items() if p not in surrogates} == {
        p: c for p, c in exact.items() if p not in surrogates
    }
    assert len(captions) == len(exact)

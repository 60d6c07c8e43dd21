"""`doctor`: what this machine has for a run, each line with what to do; changes nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from picture_captioner.cli.commands.compose import addresses
from picture_captioner.cli.commands.models import where_is
from picture_captioner.cli.flags import Flags
from picture_captioner.cli.program import command
from picture_captioner.cli.terminal import say, show, show_json, size
from picture_captioner.config import CONFIG_FILE, Settings, load_settings
from picture_captioner.errors import ExitCode, FatalError, LibraryError, count
from picture_captioner.extras import how_to_install
from picture_captioner.hub.catalogue import CATALOGUE, models_for
from picture_captioner.journal.reading import read_index
from picture_captioner.settings import KEYS, ServerAddress

SECONDS = 3.0
"""For a server or a driver to answer: one that is well does so in milliseconds."""

LITTLE_SPACE = 1_000_000_000
"""Bytes on the disk: less, and a journal, its log and library.db may soon not fit."""

EXTRAS = {
    "api": ("openai", "anthropic", "google.genai"),
    "bedrock": ("boto3",),
    "local": ("torch", "transformers", "bitsandbytes"),
    "report": ("umap", "hdbscan", "sklearn"),
    "onnx": ("onnxruntime", "tokenizers"),
    "people": ("onnxruntime", "hdbscan", "scipy"),
    "litellm": ("litellm",),
    "ocr": ("rapidocr",),
    "raw": ("rawpy",),
    "places": ("reverse_geocode",),
    "postgres": ("psycopg", "psycopg_pool"),
    "ray": ("ray",),
}
"""What an extra brings, as far as its presence shows in these packages."""

OLLAMA = "http://localhost:11434/v1"


@dataclass(frozen=True)
class Finding:
    """One line: `ok` and `absent` are fine, `broken` is not; `remedy` is what to do."""

    state: Literal["ok", "absent", "broken"]
    about: str
    told: str
    remedy: str = ""


def print_findings(flags: Flags) -> int:
    """Look at everything and print it; 78 if anything is broken."""
    settings = load_settings(flags.config, **flags.given)
    found: list[Finding] = []
    for look in LOOKS:
        found += look(settings)
    if flags.as_json:
        show_json([asdict(finding) for finding in found])
    else:
        for finding in found:
            do = f"; {finding.remedy}" if finding.remedy else ""
            show(f"{finding.state:<7} {finding.about:<12} {finding.told}{do}")
    broken = any(finding.state == "broken" for finding in found)
    return ExitCode.CONFIGURATION if broken else ExitCode.DONE


def _config(settings: Settings) -> Iterator[Finding]:
    path = settings.file.path
    if path is None:
        remedy = "cp config.env.example config.env, or use flags"
        yield Finding("absent", "settings", f"no {CONFIG_FILE.absolute()}", remedy)
    else:
        yield Finding("ok", "settings", f"from {path}")
    if told := settings.file.keys_for_others():
        yield Finding("broken", "settings", told)
    addresses = [name for name in settings.file.lines if name.upper().endswith("_BASE_URL")]
    for sentence in [*settings.file.faults(), *settings.idle(addresses)]:
        yield Finding("broken", "settings", sentence, "correct or remove it")
    for name in KEYS:
        if settings.api_key(name).get_secret_value():
            yield Finding("ok", "key", f"{name} is set")


def _photos(settings: Settings) -> Iterator[Finding]:
    folder = settings.photos_dir
    if folder is None:
        yield Finding("absent", "photos", "no folder is set", "PHOTOS_DIR=... in config.env")
    elif not folder.is_dir():
        remedy = "is the disk mounted? else correct PHOTOS_DIR"
        yield Finding("broken", "photos", f"{folder} is not there", remedy)
    elif not os.access(folder, os.R_OK | os.X_OK):
        yield Finding("broken", "photos", f"{folder} cannot be read", "give yourself permission")
    else:
        yield Finding("ok", "photos", str(folder))


def _journal(settings: Settings) -> Iterator[Finding]:
    path = settings.captions_jsonl.absolute()
    if not path.exists():
        yield Finding("absent", "journal", f"no {path} yet", f"{command('run')} begins it")
    else:
        try:
            index = read_index(path)
        except FatalError as error:
            yield Finding("broken", "journal", str(error))
        else:
            told = f"{count(index.records, 'record')} of {count(len(index.entries))} in {path}"
            if index.damage:
                told += f", {count(len(index.damage), 'damaged line')}"
                remedy = f"{command('journal check')} names them"
                yield Finding("broken", "journal", told, remedy)
            else:
                yield Finding("ok", "journal", told)
    folder = next(parent for parent in path.parents if parent.exists())
    if not os.access(folder, os.W_OK):
        yield Finding("broken", "journal", f"{folder} cannot be written", "name another folder")


def _library(settings: Settings) -> Iterator[Finding]:
    if isinstance(home := settings.library_home, ServerAddress):
        from picture_captioner.library.postgresql_access import findings

        try:
            for told in findings(home):
                yield Finding("ok", "library", told)
        except LibraryError as error:
            yield Finding("broken", "library", str(error), "docs/scale.md")
        return
    path = settings.library_path.absolute()
    if not path.exists():
        yield Finding("absent", "library", f"no {path} yet", "a report or search makes it")
        return
    from picture_captioner.library.clean_images import kept_clean_images
    from picture_captioner.library.file_access import fault_of, may_be_replaced

    if reason := fault_of(path):
        remedy = "it is no library: name another file with LIBRARY_DB"
        if path.is_file() and may_be_replaced(path):
            remedy = "delete it: a report computes it again"
        yield Finding("broken", "library", f"{path}: {reason}", remedy)
    else:
        number, taken = kept_clean_images(path)
        kept = f", {count(number, 'clean image')} ({size(taken)})" if number else ""
        yield Finding("ok", "library", f"{path} ({size(path.stat().st_size)}){kept}")


def _machine(settings: Settings) -> Iterator[Finding]:
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield _graphics()
    if memory := _free_memory():
        yield Finding("ok", "memory", f"{size(memory)} free, {count(os.cpu_count() or 1, 'core')}")
    folder = next(p for p in settings.captions_jsonl.absolute().parents if p.exists())
    free = shutil.disk_usage(folder).free
    state: Literal["ok", "broken"] = "ok" if free >= LITTLE_SPACE else "broken"
    remedy = "" if free >= LITTLE_SPACE else "make room"
    yield Finding(state, "disk", f"{size(free)} free at {folder}", remedy)


def _graphics() -> Finding:
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return Finding("ok", "gpu", "Apple's, through Metal")
    asked = ("--query-gpu=name,memory.free,memory.total,driver_version", "--format=csv,noheader")
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            ["nvidia-smi", *asked],  # noqa: S607 - the driver's own place differs
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        remedy = "--backend local then runs on the CPU, slowly; Ollama or a provider do not"
        return Finding("absent", "gpu", "no NVIDIA driver (nvidia-smi)", remedy)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(
            "broken", "gpu", f"nvidia-smi: {type(error).__name__}", "restart the machine"
        )
    if done.returncode != 0:
        told = (done.stdout or done.stderr).strip().partition("\n")[0][:200]
        return Finding("broken", "gpu", f"nvidia-smi: {told}", "install the driver again")
    cards = done.stdout.strip().splitlines()
    told = "; ".join(f"{c} (name, free, all, driver)" for c in cards)
    return Finding("ok", "gpu", told, _what_fits(cards))


def _what_fits(cards: list[str]) -> str:
    """Models for the largest card; empty where its memory is not told in MiB."""
    found = [re.search(r", (\d+) MiB, (\d+) MiB,", card) for card in cards]
    largest = max((int(match[2]) * 2**20 / 1e9 for match in found if match), default=0.0)
    if not largest:
        return ""
    names = " or ".join(f"--model {name}" for name in models_for(largest))
    return f"--backend local with {names}; {command('compare')} shows their captions side by side"


def _free_memory() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text("ascii")
    except OSError:
        return None
    lines = dict(line.split(":", 1) for line in text.splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def _extras(settings: Settings) -> Iterator[Finding]:
    del settings
    for extra, packages in EXTRAS.items():
        missing = [package for package in packages if not _is_installed(package)]
        if missing:
            told = f"without {', '.join(missing)}"
            yield Finding("absent", f"extra {extra}", told, how_to_install(extra))
        else:
            yield Finding("ok", f"extra {extra}", "installed")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False


def _models(settings: Settings) -> Iterator[Finding]:
    for model in CATALOGUE:
        if where := where_is(model, settings.models_dir):
            yield Finding("ok", "model", f"{model.name} at {where}")
        else:
            about = f"{model.name} ({size(model.size)}, {model.purpose}) is not here"
            yield Finding("absent", "model", about, command("models download", model.name))


def _servers(settings: Settings) -> Iterator[Finding]:
    ollama = settings.base_url_of("ollama") or OLLAMA
    for name, url in (("ollama", ollama), ("compatible", settings.base_url_of("compatible"))):
        for one in addresses(url):
            yield _server(name, one)


def _server(name: str, url: str) -> Finding:
    """Whether it lists its models; no key is sent, no proxy is asked."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    say(f"Asking {host} for its models; no key and no photo is sent")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    remedy = "ollama serve" if name == "ollama" else "start it, or correct COMPATIBLE_BASE_URL"
    try:
        with opener.open(f"{url.rstrip('/')}/models", timeout=SECONDS) as answer:
            listed = json.loads(answer.read(1_000_000))["data"]
            models = ", ".join(str(model["id"])[:80] for model in listed[:5])
    except urllib.error.HTTPError as error:
        told = f"{host} answers with {error.code}"
        return Finding("ok" if error.code in (401, 403) else "absent", name, told)
    except (OSError, ValueError, LookupError, TypeError) as error:
        return Finding("absent", name, f"{host} does not answer ({type(error).__name__})", remedy)
    return Finding("ok", name, f"{host} has {models or 'no model yet'}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Ask nobody who was not named."""


LOOKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _config,
    _photos,
    _journal,
    _library,
    _machine,
    _extras,
    _models,
    _servers,
)

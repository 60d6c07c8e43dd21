"""Signals at every stage of a command: it ends with 128+n, says so in a line, and what was
acknowledged is still there for the run that follows."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.preloaded import wait_for
from tests.providers.openai_server import OpenAIServer, failure
from tests.support import command, environment, library, records

PHOTOS = 6
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

STAGES = {
    "reading settings": "picture_captioner.cli.commands.pending:settings_for",
    "opening the journal": "picture_captioner.cli.commands.pending:Journal",
    "walking": "picture_captioner.cli.commands.pending:find_photos",
    "selecting": "picture_captioner.cli.commands.pending:select",
    "looking for copies": "picture_captioner.cli.commands.run:find_sources",
    "checking the service": "picture_captioner.cli.commands.run:available_backends",
    "announcing": "picture_captioner.cli.commands.run:announce",
    "starting decoders": "picture_captioner.pipeline.decoding.decoder_process:DecoderProcess._start",  # noqa: E501
    "decoding": "picture_captioner.pipeline.decoding.decoder:Decoder.loaded",
    "asking": "picture_captioner.pipeline.asking.service:BackendService.ask",
    "writing": "picture_captioner.journal.writing:Journal.append",
    "syncing": "picture_captioner.journal.append_only:sync",
    "the last verdicts": "picture_captioner.pipeline.runner:CaptionRun._finish",
    "the summary": "picture_captioner.cli.commands.run:tell_summary",
}
"""The signal reaches the process when this function is entered for the first time."""


def flags(folder: Path, *more: str) -> list[str]:
    log = f"--option=log={folder / 'requests.txt'}"
    return ["run", "--backend=service", "--photos-dir=photos", log, "--max-workers=2", *more]


def ended_by(number: signal.Signals, status: int) -> bool:
    """As a shell sees it: 128+n, whether the program says so or the kernel."""
    return status in (128 + number, -number)


@pytest.mark.timeout(900)
def test_a_signal_at_any_stage_ends_the_run_and_loses_nothing(
    tmp_path, plugin, preloaded, share, tried
):
    every = list(itertools.product(STAGES, SIGNALS))
    chosen = share([*zip(STAGES, itertools.cycle(SIGNALS), strict=False)][::2], every)
    photos = library(tmp_path / "photos", PHOTOS)
    wrong = []
    for number, (stage, kind) in enumerate(chosen):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "photos").symlink_to(photos)
        fault = ("at", STAGES[stage], "send_signal", int(kind))
        run = preloaded.run(*flags(folder), cwd=folder, faults=[fault], PYTHONPATH=plugin)
        what = f"{kind.name} while {stage}: {run.returncode}: {run.said[-300:]}"
        wrong += [what] if not ended_by(kind, run.returncode or 0) else []
        wrong += [f"Traceback: {what}"] if "Traceback" in run.said else []
        journal = folder / "captions.jsonl"
        kept = records(journal) if journal.exists() else []
        again = preloaded.run(*flags(folder), cwd=folder, PYTHONPATH=plugin)
        found = records(journal)
        once = len(found) == len({r["rel_path"] for r in found}) == PHOTOS
        wrong += [f"then: {again.said[-300:]}"] if again.returncode or not once else []
        wrong += [f"lost: {what}"] if found[: len(kept)] != kept else []
        asked = len((folder / "requests.txt").read_text().splitlines())
        wrong += [f"{asked} requests: {what}"] if asked > PHOTOS else []
    tried("a signal at a stage of the run", len(chosen), lost=len(wrong))
    assert not wrong, "\n".join(wrong)


OTHERS = {
    "estimate": ["estimate", "--backend=openai", "--photos-dir=photos"],
    "dry run": ["run", "--dry-run", "--photos-dir=photos"],
}
OTHER_STAGES = {
    "walking": {
        "estimate": "picture_captioner.cli.commands.estimate:find_photos",
        "dry run": "picture_captioner.cli.commands.pending:find_photos",
    },
    "opening photos": {
        "estimate": "picture_captioner.pipeline.decoding.decoder:Decoder.read_headers",
        "dry run": "picture_captioner.pipeline.decoding.decoder:Decoder.loaded",
    },
}


@pytest.mark.timeout(600)
def test_a_signal_ends_an_estimate_and_a_dry_run(tmp_path, preloaded, share, tried):
    library(tmp_path / "photos", PHOTOS)
    every = list(itertools.product(OTHERS, OTHER_STAGES, SIGNALS))
    wrong = []
    chosen = share([every[0], every[-1]], every)
    for name, stage, kind in chosen:
        fault = ("at", OTHER_STAGES[stage][name], "send_signal", int(kind))
        run = preloaded.run(*OTHERS[name], cwd=tmp_path, faults=[fault])
        said = f"{kind.name} in {name}, {stage}: {run.returncode}: {run.said[-300:]}"
        wrong += [said] if not ended_by(kind, run.returncode or 0) else []
        wrong += [f"Traceback: {said}"] if "Traceback" in run.said else []
    tried("a signal in an estimate or a dry run", len(chosen), lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def test_a_signal_ends_a_pause_that_the_provider_asked_for(tmp_path, preloaded, tried):
    library(tmp_path / "photos", 3)
    with OpenAIServer() as server:
        server.script.extend([failure(429, "slow down", headers={"Retry-After": "600"})] * 9)
        address = f"--base-url={server.base_url}"
        run = preloaded.start(
            "run", "--backend=openai", address, "--photos-dir=photos", cwd=tmp_path,
            OPENAI_API_KEY="sk-test",
        )  # fmt: skip
        wait_for(lambda: "pause of 600 s" in run.said)
        started = time.monotonic()
        run.send_signal(signal.SIGTERM)
        assert run.wait(8) == 143
        assert time.monotonic() - started < 8
    assert records(tmp_path / "captions.jsonl") == []
    tried("a signal in a pause", 1)


@pytest.mark.timeout(900)
def test_a_signal_while_python_starts_or_ends_shows_no_traceback(tmp_path, share, tried):
    """The real start: from the first import of ours to the last line."""
    library(tmp_path / "photos", 2)
    line = command("run", "--backend=mock", "--photos-dir=photos")
    times, rng, wrong = share(3, 60), random.Random(1), []
    for number in range(times):
        run = subprocess.Popen(
            line, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip
        time.sleep(rng.uniform(0.15, 1.5))
        kind = SIGNALS[number % 3] if number else signal.SIGINT
        run.send_signal(kind)
        said = run.communicate(timeout=30)[0]
        if "Traceback" in said or run.returncode not in (0, 128 + kind, -kind):
            wrong.append(f"{kind.name}: {run.returncode}: {said[-600:]}")
    tried("a signal at any moment of a start", times, lost=len(wrong))
    assert not wrong, "\n".join(wrong)

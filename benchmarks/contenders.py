"""Who asks the provider: this program, the vendor's bare SDK in threads, and aiohttp."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.provider import MODEL

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Outcome:
    """Captions in the order of the photos' names; processor and elapsed time in seconds."""

    captions: list[str]
    cpu: float
    elapsed: float


def this_program(
    base_url: str, photos: Path, workers: int, count: int, *, dry_run: bool = False
) -> Outcome:
    """The real command with its journal on the disk; its processor time is that of all processes.

    A dry run opens the photos and asks nobody: what it costs is start-up, decoding and journal.
    """
    with tempfile.TemporaryDirectory() as work:
        journal = Path(work) / "captions.jsonl"
        options = ["--backend=openai", f"--base-url={base_url}", f"--model={MODEL}"]
        command = [sys.executable, str(ROOT / "caption.py"), "run", f"--photos-dir={photos}"]
        command += ["--dry-run"] if dry_run else [*options, f"--max-workers={workers}"]
        command += [f"--captions-jsonl={journal}", f"--limit={count}"]
        elapsed, cpu = _timed(command, Path(work))
        records = [json.loads(line) for line in journal.read_bytes().splitlines()]
    records.sort(key=lambda record: record["rel_path"])
    return Outcome([record["caption"] or "" for record in records], cpu, elapsed)


def _timed(command: Sequence[str], work: Path) -> tuple[float, float]:
    environment = os.environ | {"OPENAI_API_KEY": "none"}
    started = time.monotonic()
    with (work / "output.txt").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this program
            command, cwd=work, env=environment, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError((work / "output.txt").read_text(errors="replace"))
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime


def bare_sdk(base_url: str, photos: Sequence[Path], workers: int) -> Outcome:
    """The openai SDK in a thread pool, on photos that are decoded already; it keeps no record."""
    import openai

    from picture_captioner.backends.encoding import data_url, encode_jpeg
    from picture_captioner.image_loader.loading import load_image

    client = openai.OpenAI(api_key="none", base_url=base_url, max_retries=0, timeout=60)
    images = [load_image(path, 1024).image for path in photos]

    def ask(index: int) -> str:
        image, images[index] = images[index], None
        if image is None:
            raise RuntimeError(f"{photos[index].name} was not decoded")
        content: list[Any] = [
            {"type": "image_url", "image_url": {"url": data_url(encode_jpeg(image))}},
            {"type": "text", "text": "Describe this photo."},
        ]
        answer = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": content}]
        )
        return answer.choices[0].message.content or ""

    started, cpu = time.monotonic(), time.process_time()
    with client, ThreadPoolExecutor(workers) as pool:
        captions = list(pool.map(ask, range(len(images))))
    return Outcome(captions, time.process_time() - cpu, time.monotonic() - started)


def aiohttp_floor(base_url: str, photos: Sequence[Path], workers: int) -> Outcome:
    """The floor: requests that are ready as bytes, sent by aiohttp, the fastest client at hand."""
    from picture_captioner.backends.encoding import data_url, encode_jpeg
    from picture_captioner.image_loader.loading import load_image

    bodies = []
    for path in photos:
        image = load_image(path, 1024).image
        if image is None:
            raise RuntimeError(f"{path.name} was not decoded")
        body = {"model": MODEL, "url": data_url(encode_jpeg(image))}
        bodies.append(json.dumps(body).encode())
    started, cpu = time.monotonic(), time.process_time()
    captions = asyncio.run(_pour(f"{base_url}/chat/completions", bodies, workers))
    return Outcome(captions, time.process_time() - cpu, time.monotonic() - started)


async def _pour(url: str, bodies: Sequence[bytes], workers: int) -> list[str]:
    import aiohttp

    captions = [""] * len(bodies)
    waiting = iter(enumerate(bodies))
    headers = {"content-type": "application/json"}
    connector = aiohttp.TCPConnector(limit=workers)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def work() -> None:
            for index, body in waiting:
                async with session.post(url, data=body) as answer:
                    said = await answer.json()
                captions[index] = said["choices"][0]["message"]["content"]

        await asyncio.gather(*(work() for _ in range(workers)))
    return captions


def plain_threads(base_url: str, photos: Sequence[Path], workers: int, *, backoff: bool) -> Outcome:
    """The usual loop: threads that ask, and after a refusal ask again.

    `backoff`: after random waits that double, up to 60 s; otherwise after a second.
    """
    import openai

    client = openai.OpenAI(api_key="none", base_url=base_url, max_retries=0, timeout=60)

    def ask(path: Path) -> str:
        waits = 0
        while True:
            try:
                answer = client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": path.name}]
                )
            except openai.RateLimitError:
                waits += 1
                longest = min(2.0**waits, 60.0) if backoff else 1.0
                time.sleep(random.uniform(0, longest) if backoff else longest)  # noqa: S311
            else:
                return answer.choices[0].message.content or ""

    started, cpu = time.monotonic(), time.process_time()
    with client, ThreadPoolExecutor(workers) as pool:
        captions = list(pool.map(ask, photos))
    return Outcome(captions, time.process_time() - cpu, time.monotonic() - started)

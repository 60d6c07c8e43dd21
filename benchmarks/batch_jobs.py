"""44,000 photos as batch jobs: how many jobs each provider needs, and what the largest takes here.

    python -m benchmarks.batch_jobs [--photos 44000] [--kilobytes 150] [--quick]

In a process of its own for each provider: the ledger with all the photos, then one job filled to
the provider's limit with made-up bodies, promised, sent through the real SDK to a server on
loopback that throws it away, and created. Decoding is left out: it happens in other processes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.contenders import ROOT
from benchmarks.finding import Finding

BACKENDS = ("openai", "xai", "anthropic", "gemini", "bedrock")
MOST_MEGABYTES = 150
_ROLE = "arn:aws:iam::123456789012:role/captions-batch"


def main() -> None:
    """Run, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=int, default=44_000)
    parser.add_argument("--kilobytes", type=int, default=150, help="of a photo as it is sent")
    parser.add_argument("--quick", action="store_true", help="does it run; no figures")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        name, url = given.one
        print(json.dumps(_one(name, url, given.photos, given.kilobytes, quick=given.quick)))
        return
    photos = 200 if given.quick else given.photos
    with _sink() as url:
        rows = [_measure(name, url, photos, given) for name in BACKENDS]
    peak = max(row["peak MB"] for row in rows)
    on_disk = all(row["disk MB"] <= row["job MB"] for row in rows)
    Finding(
        benchmark="batch_jobs",
        stage=f"{photos:,} photos of {given.kilobytes} kB, the largest job of each provider",
        contender="the size of that job",
        aim=f"{MOST_MEGABYTES} MB of memory, one job on the disk at a time",
        reached=f"{peak} MB of memory at most, one job on the disk",
        met=peak <= MOST_MEGABYTES and on_disk,
        limit="The SDK, the ledger's rows, and the modules that are imported.",
        rows=rows,
    ).tell()


def _measure(name: str, url: str, photos: int, given: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.batch_jobs", "--one", name, url]
    command += [f"--photos={photos}", f"--kilobytes={given.kilobytes}"]
    command += ["--quick"] if given.quick else []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def _one(name: str, url: str, photos: int, kilobytes: int, *, quick: bool) -> dict[str, Any]:
    """Fill and send one job as large as the provider takes."""
    from picture_captioner.batch.ledger import JobLedger, JobState
    from picture_captioner.batch.parts import Part

    with tempfile.TemporaryDirectory(dir=ROOT) as work:
        journal = Path(work) / "captions.jsonl"
        journal.touch()
        service = _service(name, url)
        with JobLedger.beside(journal) as ledger:
            _promise_all(ledger, photos)
            part = Part(service, ledger.new_job_id(), Path(work), 0)
            began = time.process_time()
            body = {"model": "m", "messages": [{"content": "A" * (kilobytes * 4000 // 3)}]}
            for photo in itertools.islice(_photos(), 50 if quick else None):
                line = part.line(body)
                if not part.has_room(line, 0):
                    break
                part.add(photo, line, 0, 0.0)
            with part:
                part.finish()
                ledger.intend(part.job_id, part.photos, [], backend=name)
                file_id = service.upload(part.job_id, part.body) if service.sends_file_first else ""
                on_disk = _nameless_files()
                remote_id = service.create(part.job_id, file_id, part.body)
                ledger.note(part.job_id, JobState.CREATED, remote_id=remote_id)
            seconds = time.process_time() - began
        service.close()
    return {
        "provider": name,
        "jobs": math.ceil(photos / len(part.photos)),
        "photos a job": len(part.photos),
        "job MB": round(part.size / 1e6, 1),
        "disk MB": round(on_disk / 1e6, 1),
        "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "CPU s": round(seconds, 1),
    }


def _service(name: str, url: str) -> Any:
    from pydantic import SecretStr

    from picture_captioner.backends.base import BackendSettings
    from picture_captioner.backends.registry import backend_class, parse_options
    from picture_captioner.batch.service import service_for

    kind = backend_class(name)
    given = [f"role={_ROLE}", "bucket=photos", f"jobs_url={url}", f"s3_url={url}"]
    given += ["region=eu-central-1"]
    os.environ |= {"AWS_ACCESS_KEY_ID": "AKIA0", "AWS_SECRET_ACCESS_KEY": "secret"}
    settings = BackendSettings(
        model=kind.default_model or "m",
        api_key=SecretStr("" if name == "bedrock" else "sk-0123456789abcdef"),
        base_url=url if name in {"anthropic", "gemini", "bedrock"} else f"{url}/v1",
        options=parse_options(kind, given if name == "bedrock" else []),
    )
    return service_for(kind(settings))


def _photos() -> Iterator[Any]:
    from picture_captioner.batch.ledger import AskedPhoto

    for number in itertools.count():
        yield AskedPhoto(
            n=number,
            rel_path=f"2019/a week in the mountains/IMG_{number:06d}.JPG",
            content_sha256=f"{number:064x}",
            size=3_000_000 + number,
            mtime_ns=1_700_000_000_000_000_000 + number,
            prompt_sha256="0123456789ab",
        )


def _promise_all(ledger: Any, photos: int) -> None:
    """A ledger that knows a job for each of the photos, as it does at the last of them."""
    ids = iter(_photos())
    for first in range(0, photos, 990):
        job = list(itertools.islice(ids, min(990, photos - first)))
        ledger.intend(ledger.new_job_id(), job, [], backend="x", host="y", model="z")


def _nameless_files() -> int:
    """Bytes of all files without a name that this process holds open."""
    found = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    gone = [path for path in found if path.exists() and "(deleted)" in str(path.readlink())]
    return sum(path.stat().st_size for path in gone)


@contextmanager
def _sink() -> Iterator[str]:
    """A server that takes every provider's upload and job, and keeps nothing."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        left = int(self.headers.get("content-length") or 0)
        while left and (piece := self.rfile.read(min(left, 1 << 20))):
            left -= len(piece)
        headers, body = self._reply()
        content = b"" if self.command == "PUT" else json.dumps(body).encode()  # S3's are empty
        self.send_response(200)
        headers |= {"Content-Length": str(len(content)), "Content-Type": "application/json"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = answer  # noqa: N815 - names that http.server looks for

    def _reply(self) -> tuple[dict[str, str], dict[str, Any]]:
        command = self.headers.get("x-goog-upload-command", "")
        own = f"http://{self.headers['host']}"
        if command:  # Gemini's upload: begun, then in pieces
            state = "final" if "finalize" in command else "active"
            headers = {"X-Goog-Upload-URL": f"{own}/upload/here", "X-Goog-Upload-Status": state}
            return headers, {"file": {"name": "files/1"}}
        if re.search(r"batchGenerateContent", self.path):
            return {}, {"name": "batches/1", "metadata": {"state": "BATCH_STATE_PENDING"}}
        ids = {"id": "b1", "batch_id": "b1", "jobArn": "arn:aws:bedrock:job"}
        return {}, {**ids, "status": "validating", "object": "batch", "type": "message_batch"}

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    main()

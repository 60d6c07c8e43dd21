"""How fast workers claim photos from a server, and that no photo is claimed twice.

    python -m benchmarks.claims [--workers 16] [--photos 44000] [--quick]

Each worker is a process with one connection that claims, says that what it has is done, and claims
again: what `work` asks of the server, without photos. The server is the one of the tests. Beside
it, one worker.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import time
from multiprocessing.queues import Queue
from typing import Any

import tests.server
from benchmarks.finding import Finding
from picture_captioner.engines.claims import Claims, SeenFile
from picture_captioner.engines.server import Server
from picture_captioner.library.home import Connection
from picture_captioner.library.schema import to_key
from picture_captioner.library.store import Library
from picture_captioner.settings import ServerAddress

STAGE, PLACE = "bench", "bench"


def contents_of(photos: int) -> list[bytes]:
    """Hashes as of photos."""
    return [to_key(hashlib.sha256(str(i).encode()).hexdigest()) for i in range(photos)]


def work(address: ServerAddress, number: int, answers: Queue[tuple[int, list[float]]]) -> None:
    """Claim until nothing is left; puts how many photos, and the seconds of each claim."""
    with Library.open(address, lambda _: None) as library:
        server = Server(library.database, patience=60.0)
        claims = Claims(server, STAGE, PLACE, f"bench {number}")
        claims.register()
        claimed, seconds = 0, []
        while True:
            begun = time.perf_counter()
            contents = claims.claim()
            seconds.append(time.perf_counter() - begun)
            if not contents:
                break
            claimed += len(contents)

            def settle(connection: Connection, done: list[bytes] = contents) -> None:
                connection.execute(
                    "UPDATE claims SET done_at = now(), worker = NULL "
                    "WHERE stage = ? AND content = ANY(?::bytea[])",
                    (STAGE, done),
                )

            server.run(settle)
        claims.end()
    answers.put((claimed, seconds))


def measure(address: ServerAddress, workers: int, photos: int) -> dict[str, Any]:
    """What so many workers took to claim so many photos."""
    contents = contents_of(photos)
    with Library.open(address, lambda _: None) as library:
        claims = Claims(Server(library.database, patience=60.0), STAGE, PLACE, "bench")
        for first in range(0, photos, 1000):
            some = contents[first : first + 1000]
            claims.see([SeenFile(content, 1, 1, content) for content in some])
            claims.enqueue(some)
    context = multiprocessing.get_context("spawn")
    answers: Queue[tuple[int, list[float]]] = context.Queue()
    processes = [
        context.Process(target=work, args=(address, number, answers)) for number in range(workers)
    ]
    begun = time.perf_counter()
    for process in processes:
        process.start()
    told = [answers.get() for _ in processes]
    took = time.perf_counter() - begun
    for process in processes:
        process.join()
    seconds = sorted(one for _, each in told for one in each)
    return {
        "workers": workers,
        "claimed": sum(claimed for claimed, _ in told),
        "photos/s": round(photos / took),
        "p50 ms": round(1000 * seconds[len(seconds) // 2], 1),
        "p95 ms": round(1000 * seconds[int(len(seconds) * 0.95)], 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--photos", type=int, default=44_000)
    parser.add_argument("--quick", action="store_true", help="does it run; no figures")
    given = parser.parse_args()
    workers, photos = (2, 200) if given.quick else (given.workers, given.photos)
    server = tests.server.Server()
    try:
        rows = [measure(server.new_collection(), n, photos) for n in (1, workers)]
    finally:
        server.close()
    speed, slow = rows[1]["photos/s"], rows[1]["p95 ms"]
    Finding(
        benchmark="claims",
        stage=f"{photos:,} photos claimed from a server, 16 at a time",
        contender="one worker",
        aim="none claimed twice",
        reached=f"{speed:,} photos/s with {workers} workers, p95 {slow} ms",
        met=all(row["claimed"] == photos for row in rows),
        limit="Round trips and the start of the processes; a claim takes the server 0.35 ms.",
        rows=rows,
    ).tell()


if __name__ == "__main__":
    main()

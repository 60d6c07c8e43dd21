"""How fast workers claim photos from a server, and that no photo is claimed twice.

    python -m tests.server                  # prints the address of a server to try with
    python -m benchmarks.claims postgresql://... --workers 64 --photos 44000

Each worker is a process with one connection that claims, says that what it has is done, and claims
again: what `work` asks of the server, without photos. The collection `bench_claims` is left there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import time
from multiprocessing.queues import Queue

from picture_captioner.engines.claims import Claims, SeenFile
from picture_captioner.engines.server import Server
from picture_captioner.library import Connection, Library, to_key
from picture_captioner.settings import ServerAddress

STAGE, PLACE = "bench", "bench"


def contents_of(run: float, photos: int) -> list[bytes]:
    """The hashes of photos that no earlier run had."""
    return [to_key(hashlib.sha256(f"{run} {i}".encode()).hexdigest()) for i in range(photos)]


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


def main() -> None:
    """Print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library")
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--photos", type=int, default=44_000)
    given = parser.parse_args()
    address = ServerAddress(given.library, "bench_claims")
    contents = contents_of(time.time(), given.photos)
    with Library.open(address, lambda _: None) as library:
        claims = Claims(Server(library.database, patience=60.0), STAGE, PLACE, "bench")
        for first in range(0, given.photos, 1000):
            some = contents[first : first + 1000]
            claims.see([SeenFile(content, 1, 1, content) for content in some])
            claims.enqueue(some)
    context = multiprocessing.get_context("spawn")
    answers: Queue[tuple[int, list[float]]] = context.Queue()
    processes = [
        context.Process(target=work, args=(address, number, answers))
        for number in range(given.workers)
    ]
    begun = time.perf_counter()
    for process in processes:
        process.start()
    told = [answers.get() for _ in processes]
    took = time.perf_counter() - begun
    for process in processes:
        process.join()
    seconds = sorted(one for _, each in told for one in each)
    claimed = sum(photos for photos, _ in told)
    found = {
        "workers": given.workers,
        "photos": given.photos,
        "claimed": claimed,
        "photos_per_second": round(claimed / took),
        "p50_ms": round(1000 * seconds[len(seconds) // 2], 1),
        "p95_ms": round(1000 * seconds[int(len(seconds) * 0.95)], 1),
    }
    for name, value in found.items():
        print(f"{name:>18}  {value:,}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""Several processes at one library: real workers, a real server, and what kills them."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from picture_captioner.engines.server import Server
from picture_captioner.engines.settling import Stages
from picture_captioner.engines.working import WORKER_DIED
from picture_captioner.journal.record import utc_now
from picture_captioner.library import syncing
from picture_captioner.library.ledger import MAX_ATTEMPTS
from picture_captioner.library.store import Library
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.stages.facts import NormalizeStage
from picture_captioner.settings import ServerAddress
from tests.support import ROOT, caption, command, effective, environment, library, records

pytestmark = pytest.mark.needs("psycopg")

PHOTOS = 100


class Club:
    """Workers at one collection, each with a journal of its own."""

    def __init__(self, folder: Path, collection: ServerAddress, plugin: str) -> None:
        self.folder, self.collection = folder, collection
        self.photos = folder / "photos"
        self.environment = {"PYTHONPATH": plugin, "CAPTION_LIBRARY": collection.url}

    def words(self, name: str, *arguments: object, **options: object) -> list[object]:
        """The command line of a worker; its requests are noted in NAME.requests."""
        pairs = [f"--option={key}={value}" for key, value in options.items()]
        return [
            "work", f"--collection={self.collection.collection}", "--backend=service",
            f"--photos-dir={self.photos}", f"--captions-jsonl={name}.jsonl",
            f"--option=log={self.folder / name}.requests", "--decode-workers=1", "--lease=2",
            *pairs, *arguments,
        ]  # fmt: skip

    def start(
        self, name: str, *arguments: object, path: str = "", **options: object
    ) -> subprocess.Popen[bytes]:
        surroundings = self.environment | ({"PYTHONPATH": path} if path else {})
        with (self.folder / f"{name}.output").open("ab") as output:
            return subprocess.Popen(
                command(*self.words(name, *arguments, **options)),
                cwd=self.folder,
                env=environment(**surroundings),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def run(self, name: str, *arguments: object, **options: object):
        words = self.words(name, *arguments, **options)
        return caption(*words, cwd=self.folder, **self.environment)

    def health(self) -> dict:
        """What 'maintain health' says."""
        collection = f"--collection={self.collection.collection}"
        done = caption("maintain", "health", collection, cwd=self.folder, **self.environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.output").read_text()

    def requests(self) -> int:
        logs = self.folder.glob("*.requests")
        return sum(len(log.read_text().splitlines()) for log in logs)

    def journals(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"))

    def done(self) -> Counter[str]:
        """How many lines each photo has, in all journals together."""
        return Counter(r["rel_path"] for path in self.journals() for r in records(path))

    def wait_for(self, lines: int) -> None:
        self.wait_until(
            lambda: sum(path.read_bytes().count(b"\n") for path in self.journals()) >= lines
        )

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < deadline, [p.read_text() for p in self.folder.glob("*.out*")]
            time.sleep(0.05)


@pytest.fixture
def club(tmp_path: Path, collection: ServerAddress, plugin: str) -> Club:
    return Club(tmp_path, collection, plugin)


ODD_STAGE = """
import os, time
from picture_captioner.pipeline.stages.facts import NormalizeStage

work, store = NormalizeStage.work, NormalizeStage.store

def deadly(self, photos):
    if any(photo.rel_path == "poison.png" for photo in photos):
        os.kill(os.getpid(), 9)
    return work(self, photos)

def slow(self, *given):
    time.sleep(0.03)
    store(self, *given)

NormalizeStage.work, NormalizeStage.store = deadly, slow
"""


@pytest.fixture
def odd_stage(tmp_path: Path) -> str:
    """PYTHONPATH where `normalize` takes its time, and dies of `poison.png`."""
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "sitecustomize.py").write_text(ODD_STAGE)
    return f"{tmp_path / 'odd'}:{ROOT}"


def claims(one_server, club: Club, what: str) -> list[tuple]:
    return one_server.sql(f'SELECT {what} FROM "{club.collection.collection}".claims')


def test_workers_share_the_photos_and_a_third_of_them_is_killed(club, one_server):
    library(club.photos, PHOTOS)
    workers = [club.start(f"w{i}", delay=0.2) for i in range(5)]
    club.wait_for(PHOTOS // 4)
    for worker in workers[::3]:
        worker.kill()
    codes = [worker.wait(90) for worker in workers]
    assert [codes[i] for i in (1, 2, 4)] == [0, 0, 0], club.said("w1")
    assert set(club.done()) == {f"{i // 100:03d}/{i:05d}.jpg" for i in range(PHOTOS)}
    under_way = 2 * 8  # a service's requests at a time, of the two
    assert PHOTOS <= club.requests() <= PHOTOS + under_way + sum(club.done().values()) - PHOTOS
    assert claims(one_server, club, "count(*), count(done_at), count(worker)") == [
        (PHOTOS, PHOTOS, 0)
    ]
    first, *others = club.journals()
    for other in others:
        merged = caption("journal", "merge", other, "--captions-jsonl", first, cwd=club.folder)
        assert merged.returncode == 0, merged.stderr
    assert {r["status"] for r in effective(first).values()} == {"success"}
    assert len(effective(first)) == PHOTOS


def test_a_ceiling_holds_over_all_workers(club):
    library(club.photos, PHOTOS)
    workers = [club.start(f"w{i}", "--max-requests=40", delay=0.05) for i in range(3)]
    assert {worker.wait(60) for worker in workers} == {3}, club.said("w0")
    assert 40 - 3 * 8 < club.requests() <= 40
    assert "stopped at --max-requests 40: all workers together" in club.said("w0")
    before = club.requests()
    prices = {"service-1": {"input_per_million": 10, "output_per_million": 10}}
    (club.folder / "prices.json").write_text(json.dumps(prices))
    done = club.run("w0", "--max-cost=0.05", "--prices-file=prices.json")
    assert done.returncode == 3, done.stderr
    assert before < club.requests() <= 50  # a request costs 0.001
    assert "all workers together have cost 0.0" in done.stderr


def test_answers_without_a_price_count_for_all_workers(club):
    library(club.photos, PHOTOS)
    for i in range(2):  # what one costs is known to each from its first
        assert club.run(f"w{i}", f"--max-requests={i + 1}").returncode == 3
    prices = {"service-1": {"input_per_million": 10, "output_per_million": 10}}
    (club.folder / "prices.json").write_text(json.dumps(prices))
    ceiling = ("--max-cost=0.04", "--prices-file=prices.json")
    workers = [club.start(f"w{i}", *ceiling, price=0, delay=0.05) for i in range(2)]
    assert [worker.wait(60) for worker in workers] == [3, 3], club.said("w0")
    assert "without a price" in club.said("w0") + club.said("w1")
    share = 8  # of each is under way, or known when it reserves the next
    assert 40 - 3 * share < club.requests() <= 40 + 2 * share
    spent = club.health()["spent"]
    assert spent["cost_usd"] == pytest.approx(0.002)
    unpriced = club.requests() - 2
    assert spent["unpriced_at_most_usd"] == pytest.approx(0.001 * unpriced)
    assert club.run("later", *ceiling, price=0).returncode == 3
    assert club.requests() <= 40 + 2 * share


def test_a_photo_that_kills_its_workers_is_tried_three_times_then_recorded(club, one_server):
    club.photos.mkdir()
    for i in range(9):
        Image.new("RGB", (16, 16), (9 * i, 0, i)).save(club.photos / f"{i:02d}.png")
    Image.new("RGB", (16, 16), (250, 0, 0)).save(club.photos / "poison.png")
    poisoned = {"fail": "killed", "fail_red": 250}
    codes = [club.run(f"w{i}", **poisoned).returncode for i in range(3)]
    assert codes == [-signal.SIGKILL] * 3
    assert claims(one_server, club, "max(deaths)") == [(2,)]  # the third is found out by the next
    assert club.run("last", **poisoned).returncode == 0
    (record,) = [r for r in records(club.folder / "last.jsonl") if r["caption"] is None]
    assert (record["rel_path"], record["status"]) == ("poison.png", "error_model")
    assert record["error"]["code"] == "worker_died"
    assert len(club.done()) == 10


def test_what_is_known_of_other_machines_is_copied_and_paid_once(club):
    library(club.photos, 6)
    assert club.run("home").returncode == 0
    club.photos = club.folder / "copy" / "elsewhere"
    shutil.copytree(club.folder / "photos", club.photos / "2024")
    done = club.run("attic")
    assert done.returncode == 0, done.stderr
    assert club.requests() == 6
    copies = records(club.folder / "attic.jsonl")
    assert {r["rel_path"] for r in copies} == {f"2024/000/{i:05d}.jpg" for i in range(6)}
    assert all(r["copied_from"] == r["rel_path"].removeprefix("2024/") for r in copies)
    assert "6 copied from a photo with the same content" in done.stderr


def test_the_server_restarts_in_the_middle(club, one_server):
    library(club.photos, 30)
    worker = club.start("w", "--max-workers=1", "--patience=60", delay=0.2)
    club.wait_for(5)
    one_server.stop(signal.SIGQUIT)
    time.sleep(1)
    one_server.start()
    assert worker.wait(60) == 0, club.said("w")
    assert set(club.done().values()) == {1}
    assert len(club.done()) == club.requests() == 30


def test_a_server_that_stays_away_ends_the_worker_and_loses_nothing(club, one_server):
    library(club.photos, 60)
    worker = club.start("w", "--max-workers=1", "--patience=4", delay=0.3)
    club.wait_for(5)
    one_server.stop(signal.SIGQUIT)
    began = time.monotonic()
    try:
        assert worker.wait(90) == 69, club.said("w")
        assert time.monotonic() - began < 20  # it waited 30 s for facts alone
        assert "Run the same command again" in club.said("w")
        assert "Captioning goes on" not in club.said("w")
        assert len(records(club.folder / "w.jsonl")) == club.requests() < 60
    finally:
        one_server.start()
    address = f"--collection={club.collection.collection}"
    known = caption(
        "sync", address, "--captions-jsonl=w.jsonl", cwd=club.folder, **club.environment
    )
    assert known.returncode == 0, known.stderr
    assert "of w.jsonl brought to postgresql://club@127.0.0.1" in known.stderr
    assert club.run("other").returncode == 0
    assert club.requests() == len(club.done()) == 60


def test_a_standby_is_waited_for_until_it_takes_writes(club, one_server):
    library(club.photos, 30)
    worker = club.start("w", "--max-workers=1", "--patience=60", delay=0.2)
    club.wait_for(5)
    drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'club'"
    one_server.sql("ALTER ROLE club SET default_transaction_read_only = on", drop)
    try:
        club.wait_until(lambda: "tried again for 60 s" in club.said("w"))
        other = club.run("other", "--patience=1")
    finally:
        one_server.sql("ALTER ROLE club RESET default_transaction_read_only", drop)
    assert other.returncode == 69, other.stderr
    assert "takes no writes" in other.stderr
    assert "Name the server that takes them" in other.stderr
    assert worker.wait(60) == 0, club.said("w")
    assert len(club.done()) == club.requests() == 30


def test_tables_that_are_taken_away_are_told_with_what_to_do(club, one_server):
    library(club.photos, 30)
    worker = club.start("w", "--max-workers=1", delay=0.2)
    club.wait_for(5)
    one_server.sql(f'DROP SCHEMA "{club.collection.collection}" CASCADE')
    assert worker.wait(60) == 74, club.said("w")
    assert "are not those that this program knows" in club.said("w")
    again = club.run("w")
    assert again.returncode == 0, again.stderr
    assert len(club.done()) == club.requests() == 30


def test_blame_is_told_again_if_the_connection_is_cut(collection, one_server, monkeypatch):
    said = []
    with Library.open(collection, pytest.fail, restart_seconds=2) as known:
        stages = Stages(Server(known.database, 60, said.append), known, [NormalizeStage()])
        note, tries = known.ledger.note, []

        def cut_off_once(*arguments, **options):
            note(*arguments, **options)
            tries.append(arguments)
            if len(tries) == 1:
                one_server.stop()
                one_server.start()

        monkeypatch.setattr(known.ledger, "note", cut_off_once)
        stages.blame(Photo("a.jpg", 1, 1), "a" * 64, WORKER_DIED)
        (row,) = known.ledger.of_content("a" * 64)
    assert (row.stage, row.attempts) == ("normalize", MAX_ATTEMPTS)
    assert len(tries) == 1 + MAX_ATTEMPTS
    assert said[-1] == "The library's server is back"


def test_ctrl_c_lets_go_of_what_was_claimed(club, one_server):
    library(club.photos, 60)
    worker = club.start("w", delay=0.5)
    club.wait_for(5)
    worker.send_signal(signal.SIGINT)
    assert worker.wait(30) == 130, club.said("w")
    health = club.health()
    assert health["workers"] == {"alive": 0, "silent": 0, "died": 0}
    assert health["leases"]["photos"] == 0
    assert sum(health["backlog"]["caption"][what] for what in ("free", "done")) == 60
    done = len(records(club.folder / "w.jsonl"))
    assert done == club.requests()
    assert claims(one_server, club, "count(done_at), count(worker), sum(deaths)") == [(done, 0, 0)]


def test_a_worker_that_was_taken_for_dead_asks_for_nothing_again_that_it_has(club, one_server):
    library(club.photos, 40)
    worker = club.start("w", "--max-workers=2", delay=0.2)
    club.wait_for(2)
    schema = club.collection.collection
    one_server.sql(
        f'UPDATE "{schema}".workers SET ended_at = now(), died = true',
        f'UPDATE "{schema}".claims SET worker = NULL, deaths = deaths + 1 WHERE worker IS NOT NULL',
    )
    assert worker.wait(60) == 0, club.said("w")
    assert club.requests() == len(club.done()) == 40
    assert "40 of 40 photos worked through" in club.said("w")
    assert "Remaining" not in club.said("w")


TWIN = """
from picture_captioner.library import syncing

syncing.journal_name = lambda path: "twin:/captions.jsonl"
"""


def test_two_machines_of_one_name_do_not_take_each_other_for_dead(club, one_server, plugin):
    (club.folder / "twin").mkdir()
    (club.folder / "twin" / "sitecustomize.py").write_text(TWIN)
    path = f"{club.folder / 'twin'}:{ROOT}:{plugin}"
    library(club.photos, PHOTOS)
    first = club.start("w0", path=path, delay=0.2)
    club.wait_for(10)
    second = club.start("w1", path=path, delay=0.2)
    assert second.wait(60) == 78, club.said("w1")
    assert "another worker calls itself twin:/captions.jsonl, too" in club.said("w1")
    assert "--captions-jsonl with another path" in club.said("w1")
    assert first.wait(90) == 0, club.said("w0")
    under_way = 8  # of the second, before it found out
    assert PHOTOS <= club.requests() <= PHOTOS + under_way
    schema = club.collection.collection
    brought = one_server.sql(f'SELECT count(*) FROM "{schema}".journal_records')
    assert brought == [(len(records(club.folder / "w0.jsonl")),)]
    again = club.run("w1")
    assert again.returncode == 0, again.stderr
    assert "done by another worker" in again.stderr or "Nothing to do" in again.stderr


def test_tags_that_are_renamed_meanwhile_are_no_other_journal(club):
    library(club.photos, 40)
    worker = club.start("w", "--max-workers=1", delay=0.2)
    club.wait_for(5)
    row = {"kind": "rename", "tag": "dog", "to": "hound", "at": utc_now()}
    (club.folder / "tags.jsonl").write_text(json.dumps(row) + "\n")
    assert worker.wait(60) == 0, club.said("w")
    assert len(records(club.folder / "w.jsonl")) == club.requests() == 40


def test_machines_of_one_name_are_told_apart_by_the_system_s_id(tmp_path, monkeypatch):
    names = set()
    for told in ("3d1219c7", "4e2320d8", ""):
        (tmp_path / "machine-id").write_text(f"{told}\n")
        monkeypatch.setattr(syncing, "MACHINE_ID", tmp_path / "machine-id")
        names.add(syncing.journal_name(tmp_path / "captions.jsonl"))
        assert not any(told and told in name for name in names)  # it is nobody's business
    assert len(names) == 3


@pytest.mark.torture
def test_a_worker_that_slept_goes_on_as_another(club):
    library(club.photos, 40)
    asleep = club.start("asleep", "--max-workers=1", delay=0.2)
    club.wait_for(2)
    asleep.send_signal(signal.SIGSTOP)
    awake = club.start("awake", delay=0.1)
    assert awake.wait(60) == 0, club.said("awake")
    assert len(club.done()) == 40
    asleep.send_signal(signal.SIGCONT)
    assert asleep.wait(60) == 0, club.said("asleep")


def test_stages_are_shared_too(club, one_server):
    library(club.photos, PHOTOS)
    workers = [club.start(f"w{i}", "--stages=normalize,metadata") for i in range(3)]
    workers[0].kill()
    assert [worker.wait(60) for worker in workers] == [-9, 0, 0], club.said("w1")
    schema = club.collection.collection
    done = one_server.sql(
        f'SELECT stage, count(*), sum(attempts) FROM "{schema}".stages GROUP BY stage ORDER BY 1'
    )
    assert [(stage, photos) for stage, photos, _ in done] == [
        ("metadata", PHOTOS),
        ("normalize", PHOTOS),
    ]
    assert f"{PHOTOS} photos processed (normalize, metadata), 0 failed" in club.said("w1")
    assert claims(one_server, club, "count(done_at), count(worker)") == [(PHOTOS, 0)]


def test_what_is_known_of_people_is_not_to_be_had_while_the_server_is_down(club, one_server):
    library(club.photos, 1)
    words = ("run", "--backend=service", f"--photos-dir={club.photos}", "--context=people")
    address = club.environment["CAPTION_LIBRARY"] + "?connect_timeout=2"
    one_server.stop()
    try:
        done = caption(*words, cwd=club.folder, **club.environment | {"CAPTION_LIBRARY": address})
    finally:
        one_server.start()
    assert done.returncode == 69, done.stderr
    waiting, said = done.stderr.splitlines()
    assert waiting.endswith("does not answer; it is tried again for 2 s")
    assert "does not answer" in said
    assert said.endswith("To caption without what it knows, leave --context out")


def test_a_worker_that_starts_while_the_server_restarts_waits_for_it(club, one_server):
    library(club.photos, 3)
    one_server.stop()
    try:
        worker = club.start("w")
        club.wait_until(lambda: "does not answer; it is tried again for 10 s" in club.said("w"))
    finally:
        one_server.start()
    assert worker.wait(60) == 0, club.said("w")
    assert len(club.done()) == 3


def test_stages_wait_for_a_server_that_restarts(club, one_server, odd_stage):
    library(club.photos, PHOTOS)
    worker = club.start("w", "--stages=normalize", "--patience=60", path=odd_stage)
    stages = f'SELECT count(*) FROM "{club.collection.collection}".stages'
    club.wait_until(lambda: one_server.sql(stages) > [(0,)])
    one_server.stop(signal.SIGQUIT)
    time.sleep(3)
    one_server.start()
    assert worker.wait(60) == 0, club.said("w")
    assert club.said("w").count("(--patience)") == 1
    assert "The library's server is back" in club.said("w")
    schema = club.collection.collection
    done = f'SELECT count(*), max(attempts) FROM "{schema}".stages'
    assert one_server.sql(done) == [(PHOTOS, 1)]
    assert claims(one_server, club, "count(done_at), count(worker)") == [(PHOTOS, 0)]


def test_a_stage_that_kills_its_workers_leaves_the_photo_alone(club, one_server, odd_stage):
    club.photos.mkdir()
    for i in range(9):
        Image.new("RGB", (16, 16), (9 * i, 0, i)).save(club.photos / f"{i:02d}.png")
    Image.new("RGB", (16, 16), (250, 0, 0)).save(club.photos / "poison.png")
    stages = ("--stages=normalize", "--lease=1")
    for i in range(3):
        worker = club.start(f"w{i}", *stages, path=odd_stage)
        assert worker.wait(60) == -signal.SIGKILL, club.said(f"w{i}")
    last = club.start("last", *stages, path=odd_stage)
    assert last.wait(60) == 0, club.said("last")
    schema = club.collection.collection
    failed = f"SELECT error, attempts FROM \"{schema}\".stages WHERE status = 'failed'"
    assert one_server.sql(failed) == [("worker_died", MAX_ATTEMPTS)]
    assert claims(one_server, club, "count(done_at), max(deaths)") == [(10, 3)]


def test_what_is_to_be_done_again_is_done_once_by_all(club, one_server):
    library(club.photos, PHOTOS)
    assert club.run("w0").returncode == 0
    again = ("--force", f"--since={utc_now()}")
    workers = [club.start(f"w{i}", *again, delay=0.02) for i in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0], club.said("w0")
    assert club.requests() == 2 * PHOTOS
    assert set(club.done().values()) == {2}
    assert all(records(club.folder / f"w{i}.jsonl") for i in range(2))  # both had a share
    for name in ("w0", "later"):
        assert club.run(name, *again).returncode == 0
    assert club.requests() == 2 * PHOTOS
    assert claims(one_server, club, "count(*), count(done_at), count(worker)") == [
        (PHOTOS, PHOTOS, 0)
    ]


def test_failures_of_others_and_other_models_are_had_again(club):
    library(club.photos, 12)
    assert club.run("w0", fail="model", fail_red=0).returncode == 0
    failed = sum(r["status"] != "success" for r in records(club.folder / "w0.jsonl"))
    only = ("--retry-only", f"--since={utc_now()}")
    assert club.run("w1", *only).returncode == 0
    assert len(records(club.folder / "w1.jsonl")) == failed
    before = club.requests()
    workers = [club.start(f"w{i}", "--stale=model", "--model=service-2") for i in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0], club.said("w0")
    assert club.requests() == before + 12
    for i in range(2):
        assert club.run(f"w{i}", "--stale=model", "--model=service-2").returncode == 0
    assert club.requests() == before + 12


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--force", "Give all of them the same time"),
        ("--retry-status=all", "--since 20"),
        ("--stages=faces --force", "process --stage faces --force"),
    ],
)
def test_what_each_worker_would_do_again_is_refused(club, given, said):
    library(club.photos, 1)
    done = club.run("w", *given.split())
    assert (done.returncode, said in done.stderr) == (64, True), done.stderr
    assert not club.journals()


@pytest.mark.torture
def test_five_hundred_requests_at_a_time(club):
    library(club.photos, 200)
    done = club.run("w", "--parallel=500", delay=0.5)
    assert done.returncode == 0, done.stderr
    assert club.requests() == len(club.done()) == 200


def test_work_says_what_it_is_for_where_there_is_no_server(club):
    library(club.photos, 1)
    done = caption("work", "--photos-dir", club.photos, cwd=club.folder)
    assert done.returncode == 64
    assert "--library postgresql://user@host/database" in done.stderr

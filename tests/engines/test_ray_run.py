"""Runs whose decoders and model are in a Ray of their own: what dies, what is kept."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.engines.ray_runs import (
    asked,
    captioned_once,
    descendants,
    gone,
    processes,
    said,
    start_run,
    wait_for_records,
    wait_until,
    written,
)
from tests.killer import draw_killer, install_killer
from tests.needs import need
from tests.support import caption, draw, library

need("ray")

WINDOW = 8
"""Photos that the model has at most: two batches of four."""

KEY = "sk-proj-THIS-KEY-IS-NOBODYS-BUSINESS"

DIES_OF_POISON = """
import os, signal, sys
if "default_worker.py" in " ".join(sys.orig_argv):
    from picture_captioner.engines.on_node import NodeDecoders
    decode = NodeDecoders.decode
    def dying(self, path, *more, **options):
        if path.endswith(b"/poison.jpg"):
            os.kill(os.getpid(), signal.SIGKILL)
        return decode(self, path, *more, **options)
    NodeDecoders.decode = dying
"""
"""Of a photo of this name a Ray worker with decoders dies; a file alone could kill no more than a
decoder, which is another process."""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    folder = tmp_path_factory.mktemp("driver")
    path = install_killer(folder)
    (folder / "sitecustomize.py").write_text(DIES_OF_POISON)
    return path


def folders() -> set[Path]:
    return set(Path("/tmp").glob("caption-ray-*"))


def test_poison_is_recorded_and_nothing_private_is_with_ray(tmp_path, driver):
    library(tmp_path / "photos", 16)
    draw_killer(tmp_path / "photos" / "000" / "00003x.png")
    draw(tmp_path / "photos" / "000" / "poison.jpg", seed=77)
    before = folders()
    run = start_run(tmp_path, driver, "--option=delay=0.1", OPENAI_API_KEY=KEY)
    wait_for_records(tmp_path, run, 1)
    (folder,) = [one for one in folders() - before if one.name.split("-")[2] == str(run.pid)]
    ours = descendants(run)
    agents = processes(run, "ray::") + processes(run, "ray/dashboard")
    looked_into = [process.environ() for process in {*ours, *agents} if process.is_running()]
    logs = b"".join(f.read_bytes() for f in folder.rglob("*") if f.is_file())
    mode = folder.stat().st_mode & 0o777
    assert run.wait(180) == 0, said(tmp_path)

    assert mode == 0o700, "Ray's logs are readable by all"
    assert len(looked_into) >= 5
    for environment in looked_into:
        assert KEY not in environment.values()
        if "RAY_AUTH_MODE" in environment:
            assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
            assert environment["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"
            assert environment["RAY_AUTH_MODE"] == "token"
            assert len(environment["RAY_AUTH_TOKEN"]) == 64
    assert logs, "there are logs"
    for private in (KEY, "00003x.png", "poison.jpg", str(tmp_path)):
        assert private.encode() not in logs, private
    assert not folder.exists()
    assert gone(ours, 20)

    found = captioned_once(tmp_path)
    assert len(found) == 18
    failed = {name: r["error"] for name, r in found.items() if r["status"] != "success"}
    assert {name: error["code"] for name, error in failed.items()} == {
        "000/00003x.png": "process_died",
        "000/poison.jpg": "decoder_crash",
    }
    assert "died of it 3 times" in failed["000/poison.jpg"]["message"]
    assert "(raylet)" not in said(tmp_path) and ".cc:" not in said(tmp_path)
    assert "The decoders on" in said(tmp_path) and "are started again" in said(tmp_path)


def test_a_worker_an_actor_and_the_decoders_are_killed(tmp_path, driver):
    photos = 120  # half of them are decoded ahead, and then decoders need not come back
    library(tmp_path / "photos", photos)
    log = tmp_path / "asked.txt"
    run = start_run(tmp_path, driver, "--option=delay=0.1", f"--option=log={log}")
    for number, victim in enumerate(["workers.child", "ray::NodeModel", "ray::NodeDecoders"]):
        wait_for_records(tmp_path, run, 8 + 12 * number)
        (process,) = processes(run, victim)[:1]
        process.kill()
        assert gone([process], 10)
        wait_until(lambda: processes(run, victim), run, tmp_path)  # noqa: B023 - within the turn
    assert run.wait(180) == 0, said(tmp_path)
    assert {r["status"] for r in captioned_once(tmp_path).values()} == {"success"}
    assert written(tmp_path) == photos
    plain = 8
    assert photos <= asked(log) <= photos + 2 * WINDOW + plain


def test_ctrl_c_and_the_death_of_the_driver_leave_nothing_behind(tmp_path, driver):
    library(tmp_path / "photos", 60)
    log = tmp_path / "asked.txt"
    flags = ("--option=delay=0.15", f"--option=log={log}")
    run = start_run(tmp_path, driver, *flags)
    wait_for_records(tmp_path, run, 4)
    ours = descendants(run)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does it
    assert run.wait(30) == 130, said(tmp_path)
    assert gone(ours, 20)
    acknowledged = written(tmp_path)
    assert 4 <= acknowledged == asked(log), "what was under way was finished"
    assert not [one for one in folders() if one.name.split("-")[2] == str(run.pid)]

    run = start_run(tmp_path, driver, *flags)
    wait_for_records(tmp_path, run, acknowledged + 8)
    ours = descendants(run)
    run.kill()
    run.wait()
    assert gone(ours, 20)
    kept = (tmp_path / "captions.jsonl").read_bytes()
    before = asked(log)

    words = ("--photos-dir=photos", "--backend=driver", "--no-library", f"--option=log={log}")
    done = caption("run", *words, cwd=tmp_path, PYTHONPATH=driver)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "captions.jsonl").read_bytes().startswith(kept), "acknowledged and lost"
    assert len(captioned_once(tmp_path)) == 60
    assert asked(log) <= 60 + WINDOW
    assert before >= kept.count(b"\n")


def test_a_provider_is_asked_from_here_and_the_nodes_only_decode(tmp_path):
    library(tmp_path / "photos", 3)
    done = caption(
        *("run", "--photos-dir=photos", "--backend=mock", "--engine=ray"),
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert len(captioned_once(tmp_path)) == 3

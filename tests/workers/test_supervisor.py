"""A child that crashes, hangs or loses its device costs the culprit, and nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from picture_captioner.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    ModelError,
    TransientError,
)
from picture_captioner.workers.messages import Open
from picture_captioner.workers.process import Clock
from picture_captioner.workers.supervisor import MAX_BLAMED, Blamed, Supervisor
from tests.support import ROOT, environment

TARGET = "tests.workers.small_host:make"


@pytest.fixture
def supervise(monkeypatch):
    """Make a supervisor of a small host; its children are gone afterwards."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made, told = [], []

    def make(timeout=None, renew_every=5000, **arguments):
        supervisor = Supervisor(Open(TARGET, arguments, 4), told.append, timeout, renew_every)
        made.append(supervisor)
        supervisor.told = told
        return supervisor

    yield make
    for supervisor in made:
        supervisor.close()
    assert not [p for p in psutil.Process().children() if "workers.child" in str(p.cmdline())]


def ask(supervisor, *items, **shared):
    return supervisor.ask("some", list(items), shared, cost=float(len(items)))


def names(results):
    return [r.code if isinstance(r, Blamed) else r[0] for r in results]


def test_items_come_back_in_their_order_from_another_process(supervise):
    supervisor = supervise(notice=True)
    supervisor.start()
    results = ask(supervisor, "a", "b")
    assert names(results) == ["a", "b"]
    assert {pid for _, pid in results} != {os.getpid()}
    assert supervisor.told == ["loading"]
    assert supervisor.state["done"] == 3


@pytest.mark.parametrize("way", ["dies", "killed", "exits", "lost"])
def test_of_a_batch_only_the_culprit_is_blamed(supervise, way):
    supervisor = supervise()
    assert names(ask(supervisor, "a", way, "b", "c")) == ["a", "process_died", "b", "c"]
    assert names(ask(supervisor, "d")) == ["d"]
    assert sum("again, " in line and "loaded" in line for line in supervisor.told) == 3


@pytest.mark.parametrize(("way", "told"), [("killed", 4), ("dies", None)])
def test_a_successor_is_told_how_many_its_predecessor_was_killed_with(supervise, way, told):
    supervisor = supervise()
    ask(supervisor, "a", way, "b", "c")
    assert supervisor.state["before"].get("batch_that_was_killed") == told


def test_a_hang_is_ended_by_the_clock(supervise):
    supervisor = supervise(timeout=1.0)
    started = time.monotonic()
    assert names(ask(supervisor, "a", "hangs")) == ["a", "hung"]
    assert time.monotonic() - started < 20
    assert "hung: no sign of it for 1 s" in supervisor.told[0]


def test_a_death_that_does_not_come_again_costs_nobody(supervise, tmp_path):
    supervisor = supervise()
    assert names(ask(supervisor, "a", f"once:dies:{tmp_path / 'x'}"))[0] == "a"
    assert len(supervisor.told) == 2
    assert "crashed (SIGSEGV); the 2 that it had are asked again" in supervisor.told[0]
    assert "Model loaded again, 2nd time" in supervisor.told[1]


def test_what_was_only_prepared_is_asked_first(supervise):
    supervisor = supervise()
    supervisor.start()
    with ThreadPoolExecutor(2) as threads:
        preparing = threads.submit(ask, supervisor, "prepares", "a", seconds=2.0)
        time.sleep(0.5)
        deadly = threads.submit(ask, supervisor, "b", "dies")
        assert names(preparing.result(30)) == ["prepares", "a"]
        done_first = not deadly.done()
        assert names(deadly.result(30)) == ["b", "process_died"]
    assert done_first


def test_one_batch_is_prepared_while_another_is_on_the_device(supervise, tmp_path):
    supervisor = supervise()
    supervisor.start()
    prepared = tmp_path / "prepared"
    with ThreadPoolExecutor(2) as pool:
        on_device = pool.submit(ask, supervisor, f"waits:{prepared}")
        preparing = pool.submit(ask, supervisor, f"shows:{prepared}")
        assert names(on_device.result(60)) == [f"waits:{prepared}"]
        assert names(preparing.result(60)) == [f"shows:{prepared}"]


def test_five_culprits_in_a_row_are_the_models_fault(supervise):
    supervisor = supervise()
    with pytest.raises(BackendUnavailableError, match="died of 5 photos in a row") as told:
        ask(supervisor, *["dies"] * MAX_BLAMED)
    assert "last words" in str(told.value)


def test_a_success_between_them_counts(supervise):
    supervisor = supervise()
    results = names(ask(supervisor, *["dies"] * 4, "a", "dies"))
    assert results == [*["process_died"] * 4, "a", "process_died"]


@pytest.mark.parametrize("stage", ["loading", "plain"])
def test_three_children_that_come_to_nothing_end_the_run(supervise, stage):
    supervisor = supervise(**{stage: "dies"})
    with pytest.raises(BackendUnavailableError, match="3 in a row could not") as told:
        ask(supervisor, "dies")
    assert "crashed (SIGSEGV)" in str(told.value)
    assert "last words" in str(told.value)


def test_a_death_while_loading_is_tried_again(supervise, tmp_path):
    supervisor = supervise(loading=f"once:dies:{tmp_path / 'x'}")
    supervisor.start()
    assert names(ask(supervisor, "a")) == ["a"]


@pytest.mark.parametrize(
    ("word", "kind", "words"),
    [
        ("verdict", ModelError, "no words"),
        ("busy", TransientError, "later"),
        ("denied", AccessDeniedError, "not you"),
        ("bug", RuntimeError, "oops"),
    ],
)
def test_errors_cross_as_what_they_are(supervise, word, kind, words):
    supervisor = supervise()
    with pytest.raises(kind, match=words) as told:
        ask(supervisor, word)
    error = told.value
    assert type(error).__name__ == ("ZeroDivisionError" if word == "bug" else kind.__name__)
    assert getattr(error, "code", None) == {"verdict": "empty", "busy": "out_of_memory"}.get(word)
    assert getattr(error, "usage", {}) == ({"output_tokens": 3} if word == "verdict" else {})
    assert getattr(error, "retry_after", None) == (0.5 if word == "busy" else None)
    assert names(ask(supervisor, "a")) == ["a"], "the child lives on"


def test_a_fatal_error_while_loading_is_raised_and_not_repeated(supervise):
    supervisor = supervise(loading="denied")
    with pytest.raises(AccessDeniedError):
        supervisor.start()


def test_a_host_that_prints_does_not_disturb_the_conversation(supervise):
    assert names(ask(supervise(), "prints", "a")) == ["prints", "a"]


def test_the_child_gets_no_secrets_no_network_and_a_group_of_its_own(supervise, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:word@proxy")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    ((seen, group, parent),) = ask(supervise(), "environment")
    assert "secret" not in str(seen)
    assert "proxy" not in str(seen)
    assert seen["CUDA_VISIBLE_DEVICES"] == "0"
    assert seen["HF_HUB_OFFLINE"] == seen["TRANSFORMERS_OFFLINE"] == "1"
    assert group != os.getpgid(0)
    assert parent == os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")
def test_the_child_reaches_no_network_and_no_other_process(supervise):
    supervisor = supervise()
    ((reached,),) = ask(supervisor, "reaches")
    assert reached == ["local", "file", "program"]
    assert not [line for line in supervisor.told if "without the restriction" in line]


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")
def test_a_model_that_cannot_load_without_network_gets_it_back_aloud(supervise):
    supervisor = supervise(needs_network=True)
    ((reached,),) = ask(supervisor, "reaches")
    assert {"tcp", "udp"} <= set(reached)
    assert (
        sum("without the restriction that keeps it from the network" in t for t in supervisor.told)
        == 1
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's out-of-memory killer")
def test_the_child_offers_itself_to_the_out_of_memory_killer(supervise):
    ((score,),) = ask(supervise(), "score")
    assert int(score) == 800


def test_it_is_renewed_after_so_many_items(supervise):
    supervisor = supervise(renew_every=4)
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda n: ask(supervisor, f"{n}", "b")[0], range(8)))
    assert [name for name, _ in results] == [str(n) for n in range(8)]
    assert 3 <= len({pid for _, pid in results}) <= 4
    assert supervisor.state["before"] == {"done": 1, "before": {}}, "what the first one said"


def test_closing_lets_the_host_close(supervise, tmp_path):
    supervisor = supervise(closed=str(tmp_path / "closed"))
    supervisor.start()
    supervisor.close()
    assert (tmp_path / "closed").read_text() == "closed"


def test_a_stopped_run_loads_no_model_again(supervise):
    supervisor = supervise()
    supervisor.start()
    supervisor.stop()
    assert names(ask(supervisor, "a")) == ["a"]
    with pytest.raises(TransientError, match="being stopped"):
        ask(supervisor, "dies")


def test_killing_it_lets_everybody_go(supervise):
    supervisor = supervise()
    supervisor.start()
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(ask, supervisor, "hangs") for _ in range(2)]
        time.sleep(0.3)
        supervisor.kill()
        for one in waiting:
            with pytest.raises(TransientError):
                one.result(5)


def test_the_clock_goes_by_the_slowest_seen_and_by_what_is_asked():
    clock = Clock()
    assert clock.limit(1) == clock.limit(64) == Clock.FIRST
    clock.took(4, 40.0)
    assert clock.limit(1) == Clock.LEAST
    assert clock.limit(8) == 10 * 10 * 8
    assert Clock(fixed=3.0).limit(64) == 3.0


ORPHAN = """
import sys, threading, time
from picture_captioner.workers.messages import Open
from picture_captioner.workers.supervisor import Supervisor
supervisor = Supervisor(Open("tests.workers.small_host:make", {arguments}, 2), print)
threading.Thread(target=supervisor.ask, args=("some", {items}, {{}}, 1.0), daemon=True).start()
while supervisor._child is None:
    time.sleep(0.01)
print(supervisor._child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("arguments", "items", "after"),
    [({}, ["hangs"], 1.0), ({"loading": "hangs"}, ["a"], 0.5), ({}, ["a"], 0.0)],
    ids=["asked", "loading", "starting"],
)
def test_nothing_is_left_of_it_when_the_parent_is_killed(arguments, items, after):
    code = ORPHAN.format(arguments=arguments, items=items)
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE,
    )  # fmt: skip
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        time.sleep(after)
        parent.kill()
    child.wait(5)


def test_a_child_started_by_a_thread_outlives_the_thread(supervise):
    supervisor = supervise()
    starter = threading.Thread(target=supervisor.start)
    starter.start()
    starter.join()
    time.sleep(0.3)
    first = ask(supervisor, "a")[0][1]
    assert ask(supervisor, "b")[0][1] == first
    assert supervisor.told == []

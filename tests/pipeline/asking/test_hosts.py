"""Several hosts behind one backend: who is asked, who is put aside, and who is to blame."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter

import pytest
from PIL import Image

from picture_captioner.backends.base import BackendSettings, Caption, CaptionBackend
from picture_captioner.backends.rate_limits import Quota
from picture_captioner.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    ConfigurationError,
    ModelError,
    TransientError,
)
from picture_captioner.pipeline.asking import hosts
from picture_captioner.pipeline.asking.hosts import SeveralHosts
from picture_captioner.pipeline.asking.retry import RunStopped

PHOTO = Image.new("RGB", (8, 8))


class Server(CaptionBackend):
    """A backend at an address, as fast and as faulty as a test wants it."""

    name, summary, default_model, default_workers = "server", "a server in a test", "m", 2

    def __init__(self, where, seconds=0.0, told=None, model="m"):
        super().__init__(
            BackendSettings(model=model, notice=[].append if told is None else told.append)
        )
        self.where, self.seconds = where, seconds
        self.error, self.check_error, self.asked, self.checked = None, None, [], 0
        self.now, self.most = 0, 0
        self.lock = threading.Lock()

    @property
    def destination(self):
        return self.where

    def check(self):
        self.checked += 1
        if self.check_error:
            raise self.check_error

    def caption(self, image, hints, fault=None):
        with self.lock:
            self.asked.append(hints)
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        if self.error:
            raise self.error
        return Caption(f"{self.where} says so")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(hosts, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(hosts, "LONGEST_PAUSE_SECONDS", 0.2)


@pytest.fixture
def told():
    return []


@pytest.fixture
def three(told):
    return [Server(name, told=told) for name in ("a:1", "b:1", "c:1")]


def ask_all(pool, count, workers=6):
    """Caption so many photos from so many threads; the answers, or what was raised."""
    left, answers, lock = list(range(count)), [], threading.Lock()

    def work():
        while True:
            with lock:
                if not left:
                    return
                number = left.pop()
            try:
                answer = pool.caption(PHOTO, (str(number),))
            except Exception as error:
                answer = error
            with lock:
                answers.append(answer)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return answers


def photos_of(servers):
    return Counter(hints for server in servers for hints in server.asked)


def test_every_host_is_named_checked_and_asked_alike(three):
    pool = SeveralHosts(three, each=2)
    assert pool.destination == "a:1, b:1 and c:1"
    assert pool.default_workers == 6
    pool.check()
    assert [server.checked for server in three] == [1, 1, 1]
    for _ in range(9):
        pool.caption(PHOTO, ())
    assert [len(server.asked) for server in three] == [3, 3, 3]


def test_the_one_with_the_least_to_do_is_asked_and_nobody_beyond_its_share(three):
    for server, seconds in zip(three, (0.02, 0.02, 0.2), strict=True):
        server.seconds = seconds
    answers = ask_all(SeveralHosts(three, each=2), 60)
    assert len(answers) == 60
    assert set(photos_of(three).values()) == {1}
    fast, other, slow = (len(server.asked) for server in three)
    assert min(fast, other) > 2 * slow > 0
    assert max(server.most for server in three) <= 2


@pytest.mark.parametrize("code", ["connection", "http_503", "http_502", "bad_answer"])
def test_a_dead_host_is_put_aside_and_its_photos_are_asked_about_elsewhere(three, told, code):
    three[1].error = TransientError("gone", code=code)
    pool = SeveralHosts(three, each=2)
    answers = ask_all(pool, 40)
    assert all(isinstance(answer, Caption) for answer in answers)
    answered = photos_of([three[0], three[2]])
    assert set(answered.values()) == {1}
    assert len(answered) == 40
    assert [line for line in told if "b:1 is put aside" in line]
    moved = [answer for answer in answers if answer.requests]
    assert len(moved) == len(three[1].asked) > 0
    assert {answer.requests for answer in moved} == {2}


def test_a_host_that_comes_back_is_asked_again(three, told):
    three[1].error = TransientError("gone", code="connection")
    pool = SeveralHosts(three, each=2)
    ask_all(pool, 20)
    three[1].error = None
    time.sleep(0.25)
    before = len(three[1].asked)
    for server in three:  # answers at once would leave all photos to one thread
        server.seconds = 0.02
    answers = ask_all(pool, 60)
    assert len(three[1].asked) - before >= 3
    assert all(isinstance(answer, Caption) for answer in answers)
    assert "b:1 answers again" in told


def test_a_dead_host_is_tried_with_one_photo_after_pauses_that_grow(three):
    three[1].error = TransientError("gone", code="connection")
    for server in (three[0], three[2]):
        server.seconds = 0.01
    began = time.monotonic()
    ask_all(SeveralHosts(three, each=2), 100)
    pauses = (time.monotonic() - began) / 0.2 + 3  # 0.05, 0.1, then 0.2 s each
    assert len(three[1].asked) <= 2 + pauses


@pytest.mark.parametrize("code", ["http_500", "timeout"])
def test_a_failure_that_may_be_the_photos_blames_the_host_once_another_answers(three, told, code):
    three[0].error = TransientError("odd", code=code)
    pool = SeveralHosts(three, each=2)
    pool.caption(PHOTO, ())
    assert [line for line in told if "a:1 is put aside" in line]
    pool.caption(PHOTO, ())
    assert len(three[0].asked) == 1


def test_a_photo_that_every_host_fails_puts_none_aside(three, told):
    pool = SeveralHosts(three, each=2)
    for server in three:
        server.error = TransientError("odd", code="http_500")
    with pytest.raises(TransientError, match="odd"):
        pool.caption(PHOTO, ("cursed",))
    assert photos_of(three) == {("cursed",): 3}
    for server in three:
        server.error = None
    assert [pool.caption(PHOTO, ()).requests for _ in range(3)] == [None] * 3
    assert told == []


def test_when_all_are_down_the_run_hears_of_it_and_one_is_tried_each_time(three):
    pool = SeveralHosts(three, each=2)
    for server in three:
        server.error = TransientError("gone", code="connection")
    for _ in range(4):
        with pytest.raises(TransientError, match="gone"):
            pool.caption(PHOTO, ())
    assert sum(len(server.asked) for server in three) <= 3 + 3 * 1
    three[2].error = None
    for _ in range(3):
        try:
            pool.caption(PHOTO, ())
        except TransientError:
            continue
        break
    else:
        pytest.fail("the host that came back was not found")


def test_a_verdict_on_the_photo_is_an_answer(three, told):
    three[0].error = ModelError("no", code="refused")
    pool = SeveralHosts(three, each=2)
    with pytest.raises(ModelError):
        pool.caption(PHOTO, ())
    assert told == []
    assert [len(server.asked) for server in three] == [1, 0, 0]


def test_what_ends_a_run_ends_it(three):
    three[0].error = AccessDeniedError("the key is rejected")
    with pytest.raises(AccessDeniedError):
        SeveralHosts(three, each=2).caption(PHOTO, ())


def test_a_refusal_slows_down_its_host_alone(three):
    three[0].error = TransientError("slow down", code="rate_limit", retry_after=30)
    pool = SeveralHosts(three, each=2)
    answers = ask_all(pool, 30)
    assert all(isinstance(answer, Caption) for answer in answers)
    assert len(three[0].asked) <= 2


def test_a_host_that_asks_to_be_left_alone_for_hours_is_said_once(three, told):
    three[0].error = TransientError("the day is used up", code="rate_limit", retry_after=7_200)
    pool = SeveralHosts(three, each=2)
    assert all(isinstance(answer, Caption) for answer in ask_all(pool, 30))
    assert len(three[0].asked) <= 2
    [said] = told
    assert re.search(r"asks to be left alone until [-\d ]*\d\d:\d\d: the day is used up", said)


def test_when_all_ask_for_a_long_pause_the_run_hears_how_long(three):
    for server in three:
        server.error = TransientError("slow down", code="rate_limit", retry_after=60)
    pool = SeveralHosts(three, each=1)
    with pytest.raises(TransientError):
        pool.caption(PHOTO, ())
    with pytest.raises(TransientError) as raised:
        pool.caption(PHOTO, ())
    assert raised.value.code == "rate_limit"
    assert 50 < raised.value.retry_after <= 60
    assert sum(len(server.asked) for server in three) == 3


def test_a_quota_is_that_of_the_host_that_names_it(three):
    pool = SeveralHosts(three, each=2)
    assert pool.on_rate_limit is None
    three[0].on_rate_limit((Quota("requests", 60, 0, 60.0),))
    for _ in range(10):
        pool.caption(PHOTO, ())
    assert len(three[0].asked) <= 1
    assert min(len(three[1].asked), len(three[2].asked)) >= 4


def test_a_host_that_is_down_at_the_beginning_is_checked_before_its_first_photo(three, told):
    three[1].check_error = BackendUnavailableError("nothing listens")
    pool = SeveralHosts(three, each=2)
    pool.check()
    assert [line for line in told if "b:1 is put aside" in line]
    pool.caption(PHOTO, ())
    time.sleep(0.1)
    for _ in range(4):
        pool.caption(PHOTO, ())
    assert three[1].asked == []
    three[1].check_error = None
    time.sleep(0.25)
    for _ in range(6):
        pool.caption(PHOTO, ())
    assert three[1].asked
    assert "Photos go to b:1 from now on, too" in told


def test_a_host_that_may_not_be_used_when_it_comes_back_never_sees_a_photo(three, told):
    three[1].check_error = BackendUnavailableError("nothing listens")
    pool = SeveralHosts(three, each=2)
    pool.check()
    three[1].check_error = ConfigurationError("--local-only: it passes photos on")
    time.sleep(0.1)
    for _ in range(20):
        pool.caption(PHOTO, ())
        time.sleep(0.01)
    assert three[1].asked == []
    assert three[1].checked == 2


def test_all_down_at_the_beginning_and_different_models_end_the_run(three):
    for server in three:
        server.check_error = BackendUnavailableError(f"{server.where} is not there")
    with pytest.raises(BackendUnavailableError, match="a:1 is not there"):
        SeveralHosts(three, each=2).check()
    mixed = [Server("a:1", model="x"), Server("b:1", model="y")]
    with pytest.raises(ConfigurationError, match=r"different models \(a:1: x, b:1: y\)"):
        SeveralHosts(mixed, each=2).check()


def test_a_stop_wakes_who_waits(three):
    for server in three:
        server.seconds = 0.3
    pool = SeveralHosts(three, each=1)
    threads = [threading.Thread(target=ask_all, args=(pool, 1, 1)) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    threading.Timer(0.05, pool.stop).start()
    with pytest.raises(RunStopped):
        pool.caption(PHOTO, ())
    for thread in threads:
        thread.join()


def test_at_the_end_it_is_said_who_answered_how_many(three, told):
    pool = SeveralHosts(three, each=2)
    ask_all(pool, 9, workers=1)
    pool.close()
    assert told == ["Answered by a:1 3, b:1 3, c:1 3"]

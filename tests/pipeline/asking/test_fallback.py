"""Who is asked next, also while several threads find the first one down."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from picture_captioner.errors import BackendUnavailableError
from picture_captioner.pipeline.asking.captioning import FallbackChain

DOWN = BackendUnavailableError("out of order")


def chain_of(*names):
    services = [SimpleNamespace(chosen=name) for name in names]
    said = []
    return FallbackChain(services, said.append), services, said


def names(chain):
    return [service.chosen for service in chain]


def test_one_that_is_put_aside_is_not_asked_again_and_the_person_is_told_once():
    chain, (first, _, _), said = chain_of("first", "second", "third")
    assert names(chain) == ["first", "second", "third"]
    chain.put_aside(first, DOWN)
    chain.put_aside(first, DOWN)
    assert names(chain) == ["second", "third"]
    assert said == ["first is put aside: out of order. Going on with second"]


def test_the_last_one_ends_the_run():
    chain, (first, second), _ = chain_of("first", "second")
    chain.put_aside(first, DOWN)
    with pytest.raises(BackendUnavailableError, match="out of order"):
        chain.put_aside(second, DOWN)
    assert names(chain) == ["second"]


def test_one_that_is_put_aside_while_somebody_is_on_the_way_is_passed_over():
    chain, (_, second, _), _ = chain_of("first", "second", "third")
    way = iter(chain)
    assert next(way).chosen == "first"
    chain.put_aside(second, DOWN)
    assert [service.chosen for service in way] == ["third"]


def test_threads_that_put_aside_everybody_end_the_run_and_leave_one():
    chain, services, _ = chain_of(*map(str, range(8)))
    ended = []

    def put_aside(service):
        try:
            chain.put_aside(service, DOWN)
        except BackendUnavailableError as error:
            ended.append(error)

    threads = [threading.Thread(target=put_aside, args=(service,)) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == 1
    assert len(names(chain)) == 1

"""One photo of each content leads, whatever order threads come in."""

from dataclasses import replace

from picture_captioner.pipeline.dedup import Claim, Follower, SharedContent
from picture_captioner.pipeline.work_queue import Item


def test_the_first_leads_and_the_others_wait_until_it_is_released(photo, loaded):
    shared = SharedContent(lambda sha256: False)
    first, second = Claim(shared), Claim(shared)
    assert loaded.content_sha256 not in first
    assert loaded.content_sha256 in second
    assert (first.leads, second.leads) == (loaded.content_sha256, None)
    follower = Follower(Item(photo), loaded)
    assert shared.follow(follower)
    assert shared.release(loaded.content_sha256) == [follower]
    assert shared.release(loaded.content_sha256) == []
    assert not shared.follow(follower)
    assert loaded.content_sha256 not in Claim(shared), "after a failure another one leads"


def test_what_is_stored_needs_no_leader(photo, loaded):
    stored = {loaded.content_sha256}
    shared = SharedContent(stored.__contains__)
    assert loaded.content_sha256 in Claim(shared)
    assert not shared.follow(Follower(Item(photo), loaded))
    assert "d" * 64 not in Claim(shared)


def test_exactly_one_of_many_threads_leads_and_no_follower_is_lost(in_threads, photo, loaded):
    stored: set[str] = set()
    shared = SharedContent(stored.__contains__)
    led, followed, known = [], [], []

    def work(number):
        for content in range(50):
            own = replace(loaded, content_sha256=str(content))
            claim = Claim(shared)
            if str(content) not in claim:
                stored.add(str(content))  # before it is released, as the flow does
                led.append(content)
                followed.extend(shared.release(str(content)))
            elif not shared.follow(Follower(Item(photo), own)):
                assert str(content) in stored
                known.append(content)

    in_threads(*(lambda n=n: work(n) for n in range(8)))
    assert sorted(led) == list(range(50))
    assert len(led) + len(followed) + len(known) == 8 * 50

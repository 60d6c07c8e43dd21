"""Which node decodes, and what becomes of photos of which decoders die; without Ray itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from picture_captioner.engines.on_node import Answer
from picture_captioner.engines.ray_decoders import MAX_GIVEN_UP, DecodersOnNodes
from picture_captioner.errors import BackendUnavailableError, DecoderCrashError
from picture_captioner.pipeline.decoding.messages import LoadRequest


class RayError(Exception):
    """Ray's own."""


class RayActorError(RayError):
    """An actor is gone."""


class Method:
    def __init__(self, body):
        self.remote = lambda *given, **more: lambda: body(*given, **more)


class Actor:
    """A node's decoders: blind, or dying of some photos."""

    def __init__(self, node, dies_of, blind):
        def decode(path, request, known):
            if any(word in path for word in dies_of):
                raise RayActorError
            return Answer(node, data=path)

        self.node = node
        self.decode = Method(decode)
        self.sees = Method(lambda folder: node not in blind)


def decoders(nodes, dies_of=(), blind=()):
    """Decoders on these nodes, with so many processors each, and what was said and started."""
    started, said = [], []

    def options(*, scheduling_strategy, **_):
        def remote(within):
            started.append(scheduling_strategy)
            return Actor(scheduling_strategy, dies_of, blind)

        return SimpleNamespace(remote=remote)

    ray = SimpleNamespace(
        exceptions=SimpleNamespace(RayError=RayError, RayActorError=RayActorError),
        get=lambda asked, timeout=None: asked(),
        kill=lambda actor: None,
        remote=lambda kind: SimpleNamespace(options=options),
        util=SimpleNamespace(
            scheduling_strategies=SimpleNamespace(
                NodeAffinitySchedulingStrategy=lambda node_id, soft: node_id
            )
        ),
    )
    made = DecodersOnNodes(ray, Path("/photos"), said.append)
    alive = [
        {"NodeID": name, "NodeManagerAddress": name, "Resources": {"CPU": cpus}}
        for name, cpus in nodes.items()
    ]
    return made, alive, started, said


def decode(made, name):
    request = LoadRequest(".jpg", 64)
    return made.decode(Path("/photos") / name, request, frozenset())


def test_the_node_with_the_least_to_do_for_its_processors_decodes():
    made, alive, *_ = decoders({"small": 1, "large": 7})
    assert made.place(alive, None) == 8
    taken = [made._take()[0].name for _ in range(8)]
    assert (taken.count("small"), taken.count("large")) == (1, 7)


def test_a_node_that_does_not_see_the_photos_decodes_none():
    made, alive, _, said = decoders({"here": 2, "blind": 2}, blind={"blind"})
    assert made.place(alive, None) == 2
    assert said == ["blind: the photos are not at /photos there; these nodes decode none"]
    assert {decode(made, f"{n}.jpg").content_sha256 for n in range(4)} == {"here"}


def test_nobody_sees_them():
    made, alive, *_ = decoders({"blind": 2}, blind={"blind"})
    with pytest.raises(BackendUnavailableError, match="no node of the Ray cluster sees /photos"):
        made.place(alive, None)


def test_the_second_death_asks_for_a_try_alone_and_the_third_is_the_verdict():
    made, alive, started, said = decoders({"node": 1}, dies_of=[b"poison"])
    made.place(alive, None)
    with pytest.raises(DecoderCrashError, match="died of it 2 times"):
        decode(made, "poison.jpg")
    assert decode(made, "well.jpg").data == b"/photos/well.jpg"
    with pytest.raises(DecoderCrashError, match="died of it 3 times"):
        decode(made, "poison.jpg")
    assert len(started) == 1 + 3
    assert said == ["The decoders on node died; they are started again"] * 3


def test_photo_after_photo_is_no_photos_fault():
    made, alive, *_ = decoders({"node": 1}, dies_of=[b".jpg"])
    made.place(alive, None)
    for number in range(MAX_GIVEN_UP - 1):
        for _ in range(2):
            with pytest.raises(DecoderCrashError):
                decode(made, f"{number}.jpg")
    with pytest.raises(DecoderCrashError):
        decode(made, "last.jpg")
    with pytest.raises(BackendUnavailableError, match="5 photos in a row"):
        decode(made, "last.jpg")


def test_a_node_that_is_gone_leaves_its_photos_to_the_others():
    blind = set()
    made, alive, _, said = decoders({"goes": 1, "stays": 1}, dies_of=[b"first"], blind=blind)
    made.place(alive, None)
    blind.add("goes")
    with pytest.raises(DecoderCrashError):
        decode(made, "first.jpg")
    assert "goes decodes no more; nodes left: 1" in said
    assert {decode(made, f"{n}.jpg").content_sha256 for n in range(3)} == {"stays"}

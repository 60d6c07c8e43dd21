"""Decoders on the nodes of a Ray cluster, and what becomes of photos of which they die."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from picture_captioner.engines.on_node import PLACE_SECONDS, Answer, NodeDecoders
from picture_captioner.errors import BackendUnavailableError, DecoderCrashError
from picture_captioner.image_loader.images import ExaminedImage, open_encoded
from picture_captioner.image_loader.reading import OpenedPhoto
from picture_captioner.pipeline.decoding.decode_ahead import Known
from picture_captioner.pipeline.decoding.decoder import Decoder, error_of
from picture_captioner.pipeline.decoding.messages import LoadRequest

DEATHS_AT_ONCE = 2
"""Of a node's decoders with a photo, before the work queue tries it alone, which is the third."""

MAX_GIVEN_UP = 5
"""Photos in a row of which decoders died, before it is the cluster that is to blame."""

MAX_DECODERS = 64


@dataclass(eq=False)
class Node:
    """A node that sees the photos, and its decoders."""

    id: str
    name: str
    cpus: int
    actor: Any = None
    outstanding: int = 0


class DecodersOnNodes:
    """One actor with decoders on each node that sees the photos. Thread-safe."""

    def __init__(self, ray: Any, photos_dir: Path, notice: Callable[[str], None]) -> None:
        self._ray, self._photos_dir, self._notice = ray, photos_dir, notice
        self._within: Path | None = None
        self._nodes: list[Node] = []
        self._lock = threading.Lock()
        self._deaths: Counter[Path] = Counter()
        self._given_up = 0

    def place(self, alive: Sequence[dict[str, Any]], within: Path | None) -> int:
        """Let each node that sees the photos decode; how many photos they decode at a time.

        Raises:
            BackendUnavailableError: none sees them.
        """
        self._within = within and within.absolute()
        nodes = [_node(facts) for facts in alive]
        for node in nodes:
            node.actor = self._decoders_on(node)
        self._nodes = [node for node in nodes if self._sees(node)]
        blind = [node.name for node in nodes if node not in self._nodes]
        if not self._nodes:
            raise BackendUnavailableError(
                f"no node of the Ray cluster sees {self._photos_dir}: it must be there under the "
                "same path, as a share or a copy"
            )
        if blind:
            self._notice(
                f"{', '.join(blind)}: the photos are not at {self._photos_dir} there; these nodes "
                "decode none"
            )
        return min(sum(node.cpus for node in self._nodes), MAX_DECODERS)

    def for_thread(self, within: Path | None) -> RayDecoder:
        """What a decoder thread of the run decodes with."""
        return RayDecoder(self, within)

    def decode(self, path: Path, request: LoadRequest, known: frozenset[str] | None) -> Answer:
        """What the node with the least to do made of a photo.

        Raises:
            DecoderCrashError: its decoders died of it, again and again.
            BackendUnavailableError: no node decodes any more.
        """
        path = path.absolute()
        while True:
            node, actor = self._take()
            try:
                asked = actor.decode.remote(os.fsencode(path), request, known)
                answer: Answer = self._ray.get(asked)
            except self._ray.exceptions.RayActorError:
                self._renew(node, actor)
                self._count_death(path)
            else:
                with self._lock:
                    self._deaths.pop(path, None)
                    self._given_up = 0
                return answer
            finally:
                with self._lock:
                    node.outstanding -= 1

    def _decoders_on(self, node: Node) -> Any:
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        options = {"num_cpus": 0, "max_concurrency": MAX_DECODERS}
        remote = self._ray.remote(NodeDecoders)
        here = strategy(node_id=node.id, soft=False)
        within = os.fsencode(self._within) if self._within is not None else None
        return remote.options(**options, scheduling_strategy=here).remote(within)

    def _sees(self, node: Node) -> bool:
        try:
            seen = node.actor.sees.remote(os.fsencode(self._photos_dir))
            return bool(self._ray.get(seen, timeout=PLACE_SECONDS))
        except self._ray.exceptions.RayError as error:
            self._notice(f"{node.name} cannot decode: {last_line(error)}")
            return False

    def _take(self) -> tuple[Node, Any]:
        with self._lock:
            if not self._nodes:
                raise BackendUnavailableError("no node of the Ray cluster decodes any more")
            node = min(self._nodes, key=lambda node: node.outstanding / node.cpus)
            node.outstanding += 1
            return node, node.actor

    def _renew(self, node: Node, dead: Any) -> None:
        """New decoders on a node, unless another thread saw to it; none if the node is gone."""
        with self._lock:
            if node.actor is not dead or node not in self._nodes:
                return
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(dead)
            node.actor = self._decoders_on(node)
            if self._sees(node):
                self._notice(f"The decoders on {node.name} died; they are started again")
            else:
                self._nodes.remove(node)
                self._notice(f"{node.name} decodes no more; nodes left: {len(self._nodes)}")

    def _count_death(self, path: Path) -> None:
        """Let the photo be tried again at once, or else alone, or be given up.

        Raises:
            DecoderCrashError: the work queue decides which.
            BackendUnavailableError: it happens to photo after photo.
        """
        with self._lock:
            self._deaths[path] += 1
            deaths = self._deaths[path]
            if deaths > DEATHS_AT_ONCE:
                self._given_up += 1
            if self._given_up >= MAX_GIVEN_UP:
                raise BackendUnavailableError(
                    f"the decoders on Ray's nodes died of {MAX_GIVEN_UP} photos in a row, so it is "
                    "no photo's fault: look at the memory of the nodes and at Ray's logs there"
                )
        if deaths >= DEATHS_AT_ONCE:
            raise DecoderCrashError(f"the decoders of a Ray node died of it {deaths} times")


def _node(facts: dict[str, Any]) -> Node:
    cpus = max(int(facts["Resources"].get("CPU", 1)), 1)
    return Node(facts["NodeID"], facts["NodeManagerAddress"], cpus)


def last_line(error: BaseException) -> str:
    """What an error of Ray's says, without its pages of advice."""
    return str(error).strip().rpartition("\n")[2][:300] or type(error).__name__


class RayDecoder(Decoder):
    """A decoder thread's `Decoder`: photos are decoded by whichever node has the least to do.

    What is open already, such as a clean image that was kept, is decoded here. Of the contents that
    need no decoding a node is told the photo's own: a copy of another is decoded once more.
    """

    def __init__(self, nodes: DecodersOnNodes, within: Path | None) -> None:
        super().__init__(within=within)
        self._nodes = nodes

    def loaded(
        self, path: Path | OpenedPhoto, request: LoadRequest, known: Container[str]
    ) -> ExaminedImage:
        """As in `Decoder`."""
        if isinstance(path, OpenedPhoto):
            return super().loaded(path, request, known)
        own: frozenset[str] | None = frozenset()
        if isinstance(known, Known):
            own = None if known.anything else frozenset({known.own} if known.own else ())
        answer = self._nodes.decode(path, request, own)
        if isinstance(known, Known):
            known.asked = answer.content_sha256
        if answer.failed is not None:
            if answer.failed.error == BackendUnavailableError.__name__:
                raise BackendUnavailableError(answer.failed.message)
            raise error_of(answer.failed)
        if answer.examined is None:
            raise DecoderCrashError("the decoder sent a reply that makes no sense")
        return _with_image(answer, answer.examined, request.jpeg_quality)


def _with_image(answer: Answer, examined: ExaminedImage, quality: int | None) -> ExaminedImage:
    if not answer.data:
        return examined
    if quality is None:
        image = Image.frombytes("RGB", answer.size, answer.data)
    else:
        image = open_encoded(answer.data, quality)
    return replace(examined, loaded=replace(examined.loaded, image=image))

"""Starts decoders under all restrictions under which a test picture decodes on this machine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

from picture_captioner.errors import BackendUnavailableError
from picture_captioner.pipeline.decoding.decoder_process import DecoderProcess
from picture_captioner.pipeline.decoding.decoder_worker import DecodeLimits
from picture_captioner.workers import sandbox

_aloud = logging.getLogger("caption.aloud")


class _Policy:
    """What the first decoder of this process found out for all that come after it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.dropped: frozenset[str] | None = None


_policy = _Policy()


def start_restricted(limits: DecodeLimits) -> DecoderProcess:
    """A decoder that decoded test pictures under its restrictions, or as others of them did.

    Each restriction that is missing or had to be dropped is said, once.

    Raises:
        BackendUnavailableError: as `DecoderProcess`.
    """
    with _policy.lock:
        if _policy.dropped is None:
            return _first(limits, _policy)
    return DecoderProcess(limits, _policy.dropped)


def _first(limits: DecodeLimits, policy: _Policy) -> DecoderProcess:
    refused: BackendUnavailableError | None = None
    for dropped in _fewer_and_fewer():
        try:
            process = DecoderProcess(limits, dropped, trial=True)
        except BackendUnavailableError as error:
            refused = refused or error
            continue
        policy.dropped = dropped
        _tell(dropped, process.missing)
        return process
    raise refused or BackendUnavailableError("no decoder process can be started")


def _fewer_and_fewer() -> Iterator[frozenset[str]]:
    """All restrictions, then all but one, then none."""
    yield frozenset()
    yield from (frozenset({restriction.name}) for restriction in sandbox.ALL)
    yield frozenset(restriction.name for restriction in sandbox.ALL)


def _tell(dropped: frozenset[str], missing: tuple[str, ...]) -> None:
    for name, keeps_from in sandbox.ALL:
        if name in dropped:
            _aloud.warning(
                "the decoders run without %s, which keeps them from %s: test pictures do not "
                "decode under it on this machine; please report it",
                name,
                keeps_from,
            )
        elif name in missing:
            _aloud.warning(
                "this system has no %s: nothing keeps the decoders of photos from %s",
                name,
                keeps_from,
            )

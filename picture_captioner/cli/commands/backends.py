"""`backends`: the registry as a table; with `--check`, what those that are set up answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.backends.registry import BACKENDS, backend_class, backends
from picture_captioner.cli.commands.compose import addresses, common_settings
from picture_captioner.cli.flags import Flags
from picture_captioner.cli.terminal import say, show, show_json, show_table
from picture_captioner.config import Settings, base_url_name
from picture_captioner.errors import (
    BackendUnavailableError,
    ConfigurationError,
    ExitCode,
    FatalError,
)
from picture_captioner.registry import Plugin
from picture_captioner.settings import KEYS

SECONDS = 10.0
"""For an answer to a free question; a service that is well takes less than one."""


def print_backends(flags: Flags) -> int:
    """List every backend with its extra and summary."""
    rows = [_with_own_summary(row) for row in backends().values()]
    if flags.as_json:
        keys = ("name", "extra", "summary")
        show_json([{key: getattr(row, key) for key in keys} for row in rows])
    else:
        extra = {row.name: f" (needs the extra '{row.extra}')" if row.extra else "" for row in rows}
        show_table([(row.name, row.summary + extra[row.name]) for row in rows])
    return ExitCode.DONE


def _with_own_summary(row: Plugin) -> Plugin:
    """Another package's backend says itself what it is, if it can be imported."""
    if row.name in BACKENDS:
        return row
    try:
        kind = backend_class(row.name)
    except ConfigurationError as error:
        return row._replace(summary=str(error))
    return row._replace(extra=kind.extra, summary=f"{kind.summary} ({row.summary})")


@dataclass(frozen=True)
class Answer:
    """What came of asking one backend; `exit_code` is that of a run that it would end."""

    name: str
    state: Literal["ok", "absent", "broken"]
    told: list[str]
    host: str | None = None
    model: str | None = None
    exit_code: int = ExitCode.DONE


def check_backends(flags: Flags) -> int:
    """Ask each backend that is set up for its models; the exit code is the first failure's."""
    settings = flags.settings()
    answers = list(_answers(settings))
    if flags.as_json:
        show_json([asdict(answer) for answer in answers])
    else:
        for answer in answers:
            where = (f"{answer.host}, model {answer.model}: " if answer.model else "") + "; ".join(
                answer.told
            )
            show(f"{answer.state:<7} {answer.name:<12} {where}")
    if not any(answer.state == "ok" or answer.exit_code for answer in answers):
        raise ConfigurationError(
            "no provider is set up: write its key into config.env (OPENAI_API_KEY=...), or start "
            "a server of your own (ollama serve)"
        )
    return next((answer.exit_code for answer in answers if answer.exit_code), ExitCode.DONE)


def _answers(settings: Settings) -> Iterator[Answer]:
    for name in backends():
        if name in BACKENDS and _key_name(name) not in KEYS and name not in _ASKED_ANYWAY:
            continue  # nobody to ask: it is on this machine
        if name in BACKENDS and name not in _ASKED_ANYWAY and not _is_set_up(name, settings):
            # Said without its SDK, which takes a second to import.
            missing = _key_name(name) if name not in _AT_AN_ADDRESS else base_url_name(name)
            yield Answer(name, "absent", [f"not set up: no {missing}"])
            continue
        try:
            kind = backend_class(name)
        except ConfigurationError as error:  # its extra is not installed
            set_up = _is_set_up(name, settings)
            yield _failed(name, error) if set_up else Answer(name, "absent", [str(error)])
            continue
        if kind.own_process or kind.placeholder:
            continue
        urls: list[str | None] = [*addresses(settings.base_url_of(name))]
        for url in urls or [None]:
            answer = _answer(kind, settings, url)
            if not _is_set_up(name, settings) and answer.state != "ok":
                answer = replace(answer, state="absent", exit_code=0)
            yield answer


_ASKED_ANYWAY = frozenset({"ollama"})
"""On this machine, without a key: it is set up if it answers."""

_AT_AN_ADDRESS = frozenset({"compatible", "hyperbolic"})
"""Nothing is asked without one."""


def _key_name(backend: str) -> str:
    return f"{backend.upper().replace('-', '_')}_API_KEY"


def _is_set_up(name: str, settings: Settings) -> bool:
    key = settings.api_key(_key_name(name)).get_secret_value()
    return bool(key or settings.base_url_of(name) or settings.backend == name)


def _answer(kind: type[CaptionBackend], settings: Settings, url: str | None) -> Answer:
    notices: list[str] = []

    def told_at_once(text: str) -> None:
        """A host is named before it is asked."""
        say(text, always=True)
        notices.append(text)

    model = settings.model if settings.backend == kind.name else ""
    common = common_settings(kind, settings)
    try:
        backend = kind(
            replace(
                common,
                model=model or common.model,
                base_url=url,
                timeout=settings.timeout or SECONDS,
                notice=told_at_once,
            )
        )
    except ConfigurationError as error:
        if settings.local_only:  # what it forbids is in order
            return Answer(kind.name, "absent", [str(error)])
        return _failed(kind.name, error)
    host = (backend.destination or "").partition(", which")[0]
    with_key = "its key goes along, " if common.api_key.get_secret_value() else ""
    if kind.check_asks:
        say(f"Asking {host} about its models; {with_key}no photo is sent", always=True)
    try:
        backend.check()
        if not backend.learned:
            raise BackendUnavailableError(f"{host} is too busy to say; try again")
        told = [*backend.learned, *filter(None, [backend.account()]), *notices]
    except FatalError as error:
        failed = _failed(kind.name, error)
        return replace(failed, host=host, model=backend.settings.model or None)
    finally:
        backend.close()
    return Answer(kind.name, "ok", told, host, backend.settings.model)


def _failed(name: str, error: FatalError) -> Answer:
    return Answer(name, "broken", [str(error)], exit_code=error.exit_code)

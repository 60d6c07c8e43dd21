"""`compare`: the same few photos through several backends or models, side by side.

The table goes to stdout as Markdown; no journal is read or written. Photos are asked one at a
time, so the speeds compare answers, not whole runs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from picture_captioner.backends import registry
from picture_captioner.backends.base import CaptionBackend
from picture_captioner.cli.commands.compose import (
    edge_for,
    make_backend,
    parse_backend,
    prices_for,
    settings_for,
)
from picture_captioner.cli.commands.files import photos_dir_of
from picture_captioner.cli.commands.models import with_models
from picture_captioner.cli.commands.photos import find_photos, spread
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import say, show, show_json
from picture_captioner.config import Settings
from picture_captioner.errors import CaptionerError, ExitCode, FatalError, Usage, UsageError, count
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.recording.answers import judge_answer
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.report.text import markdown, markdown_name

UNKNOWN = "unknown"
NOTHING = "-"
_ASK_NOBODY = frozenset({"template", "mock", "local"})


@dataclass
class Column:
    """What one backend said, photo by photo, as Markdown, and what it took."""

    title: str
    model: str = ""
    sent_to: str | None = None
    cells: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)
    asked: int = 0
    stopped: FatalError | None = None


def print_comparison(flags: RunFlags, backends: str, limit: int) -> int:
    """Ask every backend about `limit` photos, spread over the library; print both tables.

    A backend that cannot be used, or answers nothing usable, costs its own column; its exit code
    is the command's.
    """
    settings = settings_for(flags)
    photos_dir = photos_dir_of(settings)
    specs = [parse_backend(word.strip()) for word in backends.split(",") if word.strip()]
    if not specs:
        raise UsageError("--backends is empty: name some, such as template,ollama:qwen2.5vl:3b")
    _check(specs, flags.given.get("base_url"))
    photos = spread(find_photos(flags, photos_dir, follow_links=settings.follow_links), limit)
    columns = []
    with Decoder(within=None if settings.follow_links else photos_dir) as decoder:
        for name, model, url in specs:
            own = replace(settings, backend=name, model=model)
            at = replace(flags, given={**flags.given, "base_url": url}) if url else flags
            columns.append(_ask(at, own, decoder, photos_dir, photos))
    if flags.as_json:
        show_json([_as_mapping(column, photos) for column in columns])
    else:
        for line in (*_captions(photos, columns), "", *_figures(columns)):
            show(line)
    stopped = [column.stopped.exit_code for column in columns if column.stopped is not None]
    for column in columns:
        if column.asked and not column.seconds and column.stopped is None:
            say(f"{column.title}: no caption of {count(column.asked)}; the table says why")
            stopped.append(ExitCode.UNAVAILABLE)
    return stopped[0] if stopped else ExitCode.DONE


def _check(specs: Sequence[tuple[str, str, str | None]], base_url: str | None) -> None:
    """Refuse names that there are not, and one address for several backends, each with a key."""
    for name, _, _ in specs:
        registry.backend_info(name)
    asked = sorted({name for name, _, url in specs if not url} - _ASK_NOBODY)
    if base_url and len(asked) > 1:
        raise UsageError(
            f"--base-url belongs to one backend, and {', '.join(asked)} are several: write the "
            f"address behind its own, --backends {asked[0]}:MODEL@{base_url}"
        )


def _as_mapping(column: Column, photos: Sequence[Photo]) -> dict[str, object]:
    asked = photos[: len(column.cells)]
    answers = zip(asked, column.cells, strict=True)
    return {
        "backend": column.title,
        "model": column.model or None,
        "sent_to": column.sent_to,
        "captions": {photo.rel_path: cell for photo, cell in answers},
        "seconds": column.seconds,
        "usages": column.usages,
        "stopped": str(column.stopped) if column.stopped else None,
    }


def _ask(
    flags: RunFlags,
    settings: Settings,
    decoder: Decoder,
    photos_dir: Path,
    photos: Sequence[Photo],
) -> Column:
    title = f"{settings.backend}: {settings.model}" if settings.model else settings.backend
    column = Column(title)
    try:
        backend = make_backend(flags, settings)
        column.sent_to = named = backend.destination
        if named:
            say(f"Sending {count(len(photos))} to {named}: pixels and the prompt", always=True)
        with_models(backend.check, settings.models_dir)
        if backend.destination != named:  # a server on this machine that passes photos on
            column.sent_to = backend.destination
            say(f"They go to {backend.destination}", always=True)
        column.model = backend.settings.model
        edge, prices = edge_for([backend], settings), prices_for(backend, settings)
        for photo in photos:
            _ask_about(backend, prices, decoder, photos_dir / photo.rel_path, edge, column)
        backend.close()
    except FatalError as error:
        say(f"{title}: {error}", always=True)
        column.stopped = error
    return column


def _ask_about(
    backend: CaptionBackend,
    prices: Prices,
    decoder: Decoder,
    path: Path,
    edge: int,
    column: Column,
) -> None:
    """Add one cell; whatever is wrong with one photo or answer is told in it."""
    try:
        loaded = decoder.load(path, edge)
        if loaded.image is None:
            return
        loaded.image.info["full_size"] = (loaded.width, loaded.height)
        column.asked += 1
        started = time.monotonic()
        said, asked = backend.caption(loaded.image, ()), backend.settings
        answer = judge_answer(
            said,
            asked.asked,
            image=loaded.image,
            prompt=asked.prompt,
            language=asked.language,
        )
        seconds = time.monotonic() - started
    except FatalError:
        raise
    except CaptionerError as error:
        column.cells.append(_failure(f"{error} [{getattr(error, 'code', 'error')}]"))
        return
    except Exception as error:  # noqa: BLE001 - a backend's bug costs one cell, as it does in a run
        column.cells.append(_failure(f"{type(error).__name__}: {error} [exception]"))
        return
    column.cells.append(markdown(answer.text or ""))
    column.seconds.append(seconds)
    usage = answer.usage
    column.usages.append(prices.billed(usage, 1) if backend.destination else usage)


def _failure(text: str) -> str:
    return f"*{markdown(text)}*"


def _captions(photos: Sequence[Photo], columns: Sequence[Column]) -> list[str]:
    rows = [["photo", *(markdown(column.title) for column in columns)]]
    for number, photo in enumerate(photos):
        rows.append([markdown_name(photo.rel_path), *(_cell(column, number) for column in columns)])
    return _markdown(rows)


def _cell(column: Column, number: int) -> str:
    if number < len(column.cells):
        return column.cells[number]
    return "*not asked*" if column.stopped else ""


def _figures(columns: Sequence[Column]) -> list[str]:
    rows = [["", *(markdown(column.title) for column in columns)]]
    rows.append(["model", *(markdown(c.model) or "*not reached*" for c in columns)])
    rows.append(["photos captioned", *(f"{len(c.seconds)} of {len(c.cells)}" for c in columns)])
    rows.append(["seconds a photo, one at a time", *(_mean(c.seconds, NOTHING) for c in columns)])
    for title, name in (
        ("input tokens a photo", "input_tokens"),
        ("output tokens a photo", "output_tokens"),
        ("US dollars a photo", "cost_usd"),
    ):
        rows.append([title, *(_mean_usage(column, name) for column in columns)])
    rows.append(["photos go to", *(markdown(c.sent_to or "nobody: this process") for c in columns)])
    return _markdown(rows)


def _mean(numbers: Sequence[float], nothing: str) -> str:
    if not numbers:
        return nothing
    mean = Decimal(f"{sum(numbers) / len(numbers):.3g}")
    return f"{mean:,f}"  # 1,060 and 0.000015, never 1.06e+03


def _mean_usage(column: Column, name: str) -> str:
    if column.sent_to is None and name == "cost_usd":
        return "0" if column.seconds else NOTHING
    known = [usage[name] for usage in column.usages if name in usage]  # type: ignore[literal-required]
    return _mean(known, UNKNOWN if column.sent_to and column.seconds else NOTHING)


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table whose cells are Markdown already."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]]

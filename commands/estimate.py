"""`estimate`: what a run would be. Nothing is sent, nothing is written."""

from __future__ import annotations

import json
from typing import Any

from commands.photos import find_photos, photos_dir_of
from commands.wiring import RunFlags, hints_for, make_backend, rules_for, settings_for
from console.terminal import count, duration, rate, say, show, size, table
from errors import ExitCode
from journal import read_index
from pipeline.estimate import cost_per_photo, photos_per_second, read_dimensions
from pipeline.selection import select


def print_estimate(flags: RunFlags, *, as_json: bool) -> int:
    """Print photos remaining, total and done, their bytes and dimensions, and the time.

    Raises:
        FatalError: the flags or settings make no sense, or there are no photos.
    """
    values = _estimate(flags)
    if as_json:
        show(json.dumps(values))
    else:
        for line in table(_rows(values)):
            show(line)
    return ExitCode.DONE


def _estimate(flags: RunFlags) -> dict[str, Any]:
    settings = settings_for(flags)
    photos_dir = photos_dir_of(settings)
    backend = make_backend(flags, settings)
    rules = rules_for(flags, [backend], hints_for(flags))
    index = read_index(settings.captions_jsonl)
    for warning in index.warnings(settings.captions_jsonl.name):
        say(warning)
    photos = find_photos(flags, photos_dir)
    pending = select(photos, index, rules).pending
    dimensions = read_dimensions(photos_dir, pending)
    speed = photos_per_second(index.entries.values(), rules.identity)
    cost = cost_per_photo(index.entries.values(), rules.identity)
    cost = 0.0 if backend.destination is None else cost
    return {
        "backend": backend.name,
        "model": backend.settings.model,
        "photos": len(photos),
        "done": len(photos) - len(pending),
        "remaining": len(pending),
        "bytes_remaining": sum(photo.size for photo in pending),
        "headers_read": dimensions.sampled,
        "headers_unreadable": dimensions.unreadable,
        "mean_megapixels": round(dimensions.megapixels, 2),
        "largest": list(dimensions.widest),
        "photos_per_second": round(speed, 3) if speed else None,
        "seconds": round(len(pending) / speed, 1) if speed else None,
        "sent_to": backend.destination,
        "cost_usd_per_photo": cost,
        "cost_usd": None if cost is None else round(cost * len(pending), 4),
    }


def _rows(values: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("backend", f"{values['backend']}, model {values['model']}"),
        ("photos", f"{values['photos']:,}"),
        ("done", f"{values['done']:,}"),
        ("remaining", f"{values['remaining']:,} ({size(values['bytes_remaining'])})"),
    ]
    if values["headers_read"]:
        width, height = values["largest"]
        rows.append(
            (
                "dimensions",
                f"{values['mean_megapixels']} megapixels on average, largest {width}x{height} "
                f"({count(values['headers_read'], 'header')} read)",
            )
        )
    if values["headers_unreadable"]:
        rows.append(("broken", f"{values['headers_unreadable']:,}; 'run --dry-run' names them"))
    rows += [("time", _time(values)), ("cost", _cost(values))]
    return rows


def _cost(values: dict[str, Any]) -> str:
    if values["sent_to"] is None:
        return "none: nothing leaves this machine"
    if values["cost_usd"] is None:
        return (
            "unknown: no photo was priced with this model and prompt yet; "
            "caption some with 'run --limit 20', then ask again"
        )
    each = values["cost_usd_per_photo"]
    return f"about {values['cost_usd']:,.2f} USD, at {each:.6f} USD a photo as billed so far"


def _time(values: dict[str, Any]) -> str:
    if not values["remaining"]:
        return "nothing to do"
    if values["seconds"] is None:
        return "unknown: this journal has no speed for this backend and model yet"
    speed = values["photos_per_second"]
    return f"about {duration(values['seconds'])} at {rate(speed)}, as measured so far"

"""`backends`: the registry as a table."""

from __future__ import annotations

import json

from picture_captioner.backends.registry import BACKENDS, backend_class, backends
from picture_captioner.cli.terminal import show, table
from picture_captioner.errors import ConfigurationError, ExitCode
from picture_captioner.registry import Plugin


def print_backends(*, as_json: bool) -> int:
    """List every backend with its extra and summary.

    Raises:
        ConfigurationError: two packages bring a backend of the same name.
    """
    rows = [_with_own_summary(row) for row in backends().values()]
    if as_json:
        keys = ("name", "extra", "summary")
        show(json.dumps([{key: getattr(row, key) for key in keys} for row in rows]))
    else:
        for line in table([(row.name, _described(row.extra, row.summary)) for row in rows]):
            show(line)
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


def _described(extra: str | None, summary: str) -> str:
    return f"{summary} (needs the extra '{extra}')" if extra else summary

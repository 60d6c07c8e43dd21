"""`backends`: the registry as a table."""

from __future__ import annotations

import json

from picture_captioner.backends.registry import backends
from picture_captioner.cli.terminal import show, table
from picture_captioner.errors import ExitCode


def print_backends(*, as_json: bool) -> int:
    """List every backend with its extra and summary.

    Raises:
        ConfigurationError: two packages bring a backend of the same name.
    """
    rows = list(backends().values())
    if as_json:
        keys = ("name", "extra", "summary")
        show(json.dumps([{key: getattr(row, key) for key in keys} for row in rows]))
    else:
        for line in table([(row.name, _described(row.extra, row.summary)) for row in rows]):
            show(line)
    return ExitCode.DONE


def _described(extra: str | None, summary: str) -> str:
    return f"{summary} (needs the extra '{extra}')" if extra else summary

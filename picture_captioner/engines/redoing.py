"""Photos done again (`work --force`, `--retry-status`, `--stale`): `run`'s rule for all workers.

The rule looks at what all journals say of a photo's bytes. Two workers that find the same photo to
be redone open its claim once: rows are locked while one of them looks and decides, and what was
done since is not taken, by `--since` or because it is not stale any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from picture_captioner.engines.server import Server
from picture_captioner.library.schema import from_key
from picture_captioner.library.syncing import index_of_contents
from picture_captioner.pipeline.selecting.selection import SelectionRules, Stale

if TYPE_CHECKING:
    from picture_captioner.library.home import Connection
    from picture_captioner.pipeline.selecting.walk import Photo

AT_ONCE = 500
"""Photos in a transaction, whose rows are locked meanwhile."""


class Redoing:
    """Opens the claims of photos that are to be done again.

    Args:
        stage: of the claims.
        rules: those of the flags. Whether a file changed is not asked here: other bytes have a
            claim of their own.
    """

    def __init__(self, server: Server, stage: str, rules: SelectionRules) -> None:
        self._server = server
        self._stage = stage
        self._rules = replace(rules, stale=rules.stale - {Stale.CONTENT})
        self.only = rules.retry_only
        """Whether nothing else is taken, not even what nobody has done."""

    def wanted(self, photos: Sequence[tuple[Photo, bytes]]) -> list[tuple[Photo, bytes]]:
        """Those of the photos (and their contents) that are to be done; their claims are open."""
        return [
            taken
            for first in range(0, len(photos), AT_ONCE)
            for taken in self._server.run(partial(self._opened, photos[first : first + AT_ONCE]))
        ]

    def _opened(
        self, photos: Sequence[tuple[Photo, bytes]], connection: Connection
    ) -> list[tuple[Photo, bytes]]:
        contents = sorted({content for _, content in photos})
        connection.execute(
            "SELECT content FROM claims WHERE stage = ? AND content = ANY(?::bytea[]) "
            "ORDER BY content FOR UPDATE",
            (self._stage, contents),
        )
        names = [(photo.rel_path, from_key(content)) for photo, content in photos]
        index = index_of_contents(connection, names)
        taken = [pair for pair in photos if self._rules.takes(pair[0], index)]
        connection.execute(
            "UPDATE claims SET done_at = NULL, deaths = 0 "
            "WHERE stage = ? AND content = ANY(?::bytea[]) AND done_at IS NOT NULL",
            (self._stage, sorted({content for _, content in taken})),
        )
        return taken

"""The progress of a download: a bar for each file in a terminal, elsewhere a line at its end."""

from __future__ import annotations

import contextlib
from typing import Any

from tqdm import tqdm

from console.terminal import safe, say, size


class TransferProgress:
    """What a download is handed as its `progress`; survives a closed terminal."""

    def __init__(self) -> None:
        self._file: str | None = None
        self._bar: tqdm[Any] | None = None

    def __call__(self, file: str, done: int, total: int) -> None:
        """Show how much of a file is here, in bytes."""
        with contextlib.suppress(OSError, ValueError):
            if file != self._file or self._bar is None:
                self._begin(file, total)
            if self._bar is not None:
                self._bar.update(done - self._bar.n)
                if done >= total and self._bar.disable:
                    say(f"{file}: {size(total)}")
            if done >= total:
                self.close()

    def close(self) -> None:
        """Leave the last state of the bar on the screen."""
        with contextlib.suppress(OSError, ValueError):
            if self._bar is not None:
                self._bar.close()
        self._bar = None

    def _begin(self, file: str, total: int) -> None:
        self.close()
        self._file = file
        # disable=None: no bar where stderr is a file or a pipe.
        self._bar = tqdm(
            total=total,
            desc=safe(file),
            unit="B",
            unit_scale=True,
            dynamic_ncols=True,
            disable=None,
        )

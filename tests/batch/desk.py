"""Somebody at a terminal with a library and a provider, for tests of batch jobs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from picture_captioner.journal.record import utc_text
from tests.providers.batch_server import BatchServer, colour
from tests.support import library, records

KEY = "sk-ant-batch-0123456789abcdef"


class Desk:
    """Somebody at a terminal with a library of small photos and a key for one provider."""

    def __init__(self, folder: Path, preloaded: Any, server: BatchServer, photos: int) -> None:
        self.folder, self.server = folder, server
        self._preloaded = preloaded
        self.photos = library(folder / "photos", photos)
        self.said = ""

    def run(self, *arguments: object, faults: Any = (), journal: str = "captions.jsonl") -> int:
        """Run one command as one would type it; `said` is what it wrote."""
        given = self.server.arguments()
        address = [word for word in given if word.startswith(("--base-url", "--option"))]
        words = list(map(str, arguments))
        asks = words[:2] not in (["batch", "list"], ["batch", "adopt"], ["batch", "ignore"])
        if asks:
            words += address
        if words[:2] in (["batch", "submit"], ["batch", "collect"]) or words[0] == "run":
            words += ["--photos-dir=photos", "--decode-workers=1"]
        if words[:2] == ["batch", "submit"] or words[0] == "run":
            words += [word for word in given if word not in address]
        run = self.typed(*words, f"--captions-jsonl={journal}", faults=faults)
        self.said = run.said
        return run.returncode

    def typed(self, *words: str, faults: Any = ()) -> Any:
        """Run one command as it is, with nothing added."""
        return self._preloaded.run(
            *words,
            cwd=self.folder,
            faults=[*self.server.process_faults, *faults],
            **self.server.environment(KEY),
        )

    def jobs(self, journal: str = "captions.jsonl") -> list[dict[str, Any]]:
        """What `batch list --json` says."""
        assert self.run("batch", "list", "--json", journal=journal) == 0, self.said
        return json.loads(self.said.splitlines()[-1])

    def records(self) -> list[dict[str, Any]]:
        path = self.folder / "captions.jsonl"
        return records(path) if path.exists() else []  # it was killed before there was one

    def of_jobs(self) -> list[dict[str, Any]]:
        return [record for record in self.records() if record.get("batch_job")]

    def age_ledger(self, seconds: float = 3600) -> None:
        """As if everything in the ledger had been written so long ago."""
        path = self.folder / "captions.jobs.jsonl"
        if not path.exists():
            return
        then = utc_text(datetime.now(UTC) - timedelta(seconds=seconds))
        path.write_text(re.sub(r'"at":"[^"]*"', f'"at":"{then}"', path.read_text()))

    def check_answers(self) -> None:
        """Every caption is of its own photo."""
        for record in self.records():
            if record["status"] == "success":
                shown = re.search(r"colour ([\d-]+)", record["caption"])
                jpeg = (self.photos / record["rel_path"]).read_bytes()
                assert shown
                parts = zip(shown[1].split("-"), colour(jpeg).split("-"), strict=True)
                assert all(abs(int(a) - int(b)) <= 1 for a, b in parts), record

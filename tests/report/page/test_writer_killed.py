"""A report is whole whenever its writer is killed."""

from __future__ import annotations

import base64
import hashlib
import random
import subprocess
import sys
import time

from picture_captioner.report.page.thumbnails import DIGEST_BYTES
from picture_captioner.report.page.writer import write_page
from tests.report.page.reports import data_of, rich_report, thumbnail
from tests.support import ROOT, environment

KILLS = 4


def shown_thumbnails(page):
    """The files that the page shows; each must be there and hold what its name says."""
    joined = base64.b64decode(data_of(page)["photos"]["thumbnails"])
    digests = {joined[k : k + DIGEST_BYTES] for k in range(0, len(joined), DIGEST_BYTES)}
    for digest in digests:
        name = digest.hex()
        file = page.parent / "cluster_report_files" / "thumbnails" / name[:2] / f"{name}.webp"
        assert hashlib.sha256(file.read_bytes()).digest().startswith(digest)
        yield file


def test_a_killed_writer_leaves_a_whole_report(tmp_path):
    delays = random.Random(5)
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.report.page.endless_writer", str(tmp_path)]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline(), "the writer ended by itself"
            time.sleep(delays.uniform(0, 0.08))
            writer.kill()
        assert len(set(shown_thumbnails(tmp_path / "cluster_report.html"))) == 60
    page = write_page(rich_report(9), tmp_path, thumbnail, None)
    assert set(tmp_path.rglob("*.*")) == {page, *shown_thumbnails(page)}

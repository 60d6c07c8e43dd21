"""A program that writes one report after another into a folder until it is killed."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from picture_captioner.report.page.writer import write_page
from tests.report.page.reports import rich_report, webp


def main(folder: Path) -> None:
    report = rich_report(60)
    numbers = {photo.rel_path: i for i, photo in enumerate(report.photos)}
    for turn in itertools.count():
        shift = turn * 7 % 500
        write_page(report, folder, lambda p, s=shift: webp(numbers[p.rel_path] + s), None)
        sys.stdout.write(f"{turn}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

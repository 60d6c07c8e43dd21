"""The report in numbers."""

from __future__ import annotations

import json
from pathlib import Path

from picture_captioner.errors import Status
from picture_captioner.report.summary import as_mapping, counts
from tests.report.support import bare_report, photo


def test_it_is_json_and_adds_up(themes):
    found = json.loads(json.dumps(as_mapping(themes.built.report, [Path("a.csv")])))
    assert found["photos"] == found["captioned"] == found["with_vector"] == 600
    assert found["clusters"] == len(themes.built.report.clusters)
    assert found["files"] == ["a.csv"]
    sizes = [c["photos"] for c in found["largest_clusters"]]
    assert sizes == sorted(sizes, reverse=True)
    placed = sum(sizes)
    assert found["noise_share"] == round(1 - placed / 600, 4)


def test_every_photo_is_captioned_an_error_or_without_a_record():
    photos = [
        photo("a", caption="A dog."),
        photo("b", status=Status.ERROR_MODEL),
        photo("c", status=Status.ERROR_CORRUPT),
        photo("d", present=True),
    ]
    found = counts(bare_report(photos))
    assert (found["captioned"], found["errors"], found["without_record"]) == (1, 2, 1)
    assert found["present"] == 1

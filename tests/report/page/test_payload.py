from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np

from picture_captioner.errors import Status
from picture_captioner.report.model import ReportPhoto
from picture_captioner.report.page.columns import script_json
from picture_captioner.report.page.document import document
from picture_captioner.report.page.payload import (
    LINKED,
    PLACEHOLDER,
    SHOWN,
    UNPLACED,
    payload,
    wall_seconds,
)
from picture_captioner.report.page.thumbnails import NO_THUMBNAIL
from tests.report.page.reports import bare_report, clustering, photo, rich_report
from tests.report.page.test_columns import unpacked

SIZE_BOUND = 10_000_000
"""Bytes of the page for 44,000 photos whose captions, all different, have 120 characters."""


def made(report, root="../photos"):
    return payload(report, [NO_THUMBNAIL] * len(report.photos), "Photos", root)


def test_photos_become_columns():
    report = bare_report(
        (
            ReportPhoto(rel_path="top.heic"),
            photo(1, tags=("sea", "sky"), placeholder=True, title="One"),
            photo(
                2, status=Status.ERROR_MODEL, caption=None, last_error="it refused", tags=("sky",)
            ),
        )
    )
    data = made(report)
    photos, texts = data["photos"], data["texts"]
    assert photos["name"] == ["top.heic", "IMG_00001.jpg", "IMG_00002.jpg"]
    assert photos["folders"] == ["000"]
    assert unpacked(photos["folder"], 3) == [-1, 0, 0]
    assert unpacked(photos["status"], 3) == [0, 1, 4]
    assert unpacked(photos["flags"], 3) == [0, LINKED | SHOWN | PLACEHOLDER, LINKED | SHOWN]
    assert texts[unpacked(photos["error"], 3)[2]] == "it refused"
    assert unpacked(photos["tags"]["ends"], 3) == [0, 2, 3]
    assert [texts[t] for t in unpacked(photos["tags"]["text"], 3)] == ["sea", "sky", "sky"]
    assert unpacked(photos["x"], 3) == [UNPLACED] * 3


def test_nothing_is_linked_without_a_photos_directory():
    assert made(bare_report((photo(1),)), root=None)["photos"]["flags"] == SHOWN


def test_only_odd_names_carry_a_link_of_their_own():
    names = ("plain.jpg", "a b.jpg", "caf\udce9.jpg", "gone c.jpg")
    photos = tuple(photo(0, rel_path=name, present=name != "gone c.jpg") for name in names)
    assert made(bare_report(photos))["photos"]["nameLinks"] == {
        "1": "a%20b.jpg",
        "2": "caf%E9.jpg",
    }


def test_times_are_what_the_clock_on_the_wall_showed():
    local = datetime.fromisoformat("2024-07-01T23:30:00")
    zoned = local.replace(tzinfo=timezone(timedelta(hours=9)))
    assert wall_seconds(local) == wall_seconds(zoned) == local.replace(tzinfo=UTC).timestamp()
    assert wall_seconds(None) != wall_seconds(None)
    first, last = map(datetime.fromisoformat, ("0001-01-01", "9999-12-31"))
    assert wall_seconds(first) < 0 < wall_seconds(last)


def test_the_map_keeps_its_proportions():
    report = bare_report((photo(1), photo(2), photo(3)))
    where = clustering(np.array([-1, -1, -1]), np.array([[0, 0.25], [1, 0.5], [np.nan, np.nan]]))
    object.__setattr__(report, "clustering", where)
    photos = made(report)["photos"]
    assert unpacked(photos["x"], 3) == [0, UNPLACED - 1, UNPLACED]
    assert unpacked(photos["y"], 3) == [round(0.25 * 65534), round(0.5 * 65534), UNPLACED]


def test_clusters_events_and_duplicates_name_photos_by_index():
    report = rich_report(70)
    data = made(report)
    for cluster, written in zip(report.clusters, data["clusters"], strict=True):
        assert unpacked(written["members"], written["size"]) == cluster.members.tolist()
        assert written["colour"].startswith("#")
    assert len({cluster["colour"] for cluster in data["clusters"]}) == len(report.clusters)
    for group, written in zip(report.duplicates, data["duplicates"], strict=True):
        assert unpacked(written["members"], written["size"]) == group.members.tolist()
        assert written["keeper"] == group.keeper
    assert [chunk["level"] for chunk in data["chunks"]].count("trip") == 1


def test_coordinates_stay_out():
    written = script_json(made(bare_report((photo(1, latitude=48.2082, longitude=16.3738),))))
    assert "48.2" not in written
    assert "16.37" not in written


def test_the_page_of_a_large_library_stays_small():
    report = rich_report(44_000, clusters=80)
    photos = tuple(
        replace(one, caption=f"{i:05d} ".ljust(120, "x")) for i, one in enumerate(report.photos)
    )
    assert len(document(made(replace(report, photos=photos)))) < SIZE_BOUND

from __future__ import annotations

import re

import pytest

from picture_captioner.journal import durable
from picture_captioner.report.page.writer import write_page
from tests.report.page.reports import (
    bare_report,
    data_of,
    no_thumbnail,
    photo,
    rich_report,
    thumbnail,
    webp,
)


def tree(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_a_page_and_its_thumbnails(tmp_path):
    photos_dir = tmp_path / "My photos"
    page = write_page(rich_report(40), tmp_path / "out", thumbnail, photos_dir)
    assert page == tmp_path / "out" / "cluster_report.html"
    data = data_of(page)
    assert data["library"] == "My photos"
    assert data["root"] == "../My%20photos"
    assert data["photos"]["count"] == 40
    files = tree(tmp_path / "out")
    pattern = (
        r"cluster_report\.html|cluster_report_files/thumbnails/([0-9a-f]{2})/\1[0-9a-f]{18}\.webp"
    )
    assert all(re.fullmatch(pattern, name) for name in files)
    assert set(files.values()) - {page.read_bytes()} == {
        thumbnail(p) for p in rich_report(40).photos
    }
    assert page.stat().st_mode & 0o777 == 0o600


def test_a_second_run_changes_nothing_that_is_the_same(tmp_path):
    write_page(rich_report(40), tmp_path, thumbnail, None)
    before = {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*.webp")}
    write_page(rich_report(40), tmp_path, thumbnail, None)
    assert {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*.webp")} == before


def test_a_second_run_leaves_no_litter(tmp_path):
    write_page(rich_report(40), tmp_path / "twice", thumbnail, None)
    (tmp_path / "twice" / ".cluster_report.html.new").write_bytes(b"from a killed run")
    write_page(rich_report(7), tmp_path / "twice", thumbnail, None)
    write_page(rich_report(7), tmp_path / "once", thumbnail, None)
    assert tree(tmp_path / "twice") == tree(tmp_path / "once")


def test_a_run_that_dies_leaves_the_old_report_whole(tmp_path, monkeypatch):
    write_page(rich_report(20), tmp_path, thumbnail, None)
    before = tree(tmp_path)

    def dies_at_ten(one):
        if one.rel_path.endswith("10.jpg"):
            raise KeyboardInterrupt
        return webp(hash(one.rel_path) % 1000)

    with pytest.raises(KeyboardInterrupt):
        write_page(rich_report(30), tmp_path, dies_at_ten, None)
    assert before.items() <= tree(tmp_path).items()
    monkeypatch.setattr(durable, "sync", lambda _: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_page(rich_report(30), tmp_path, thumbnail, None)
    after = tree(tmp_path)
    assert before.items() <= after.items()
    assert not [name for name in after if name.endswith(".new")]


def test_the_mode_of_a_page_that_was_there_is_kept(tmp_path):
    page = write_page(bare_report(()), tmp_path, no_thumbnail, None)
    page.chmod(0o644)
    assert write_page(bare_report(()), tmp_path, no_thumbnail, None).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("n", [0, 1, 3])
def test_small_libraries(tmp_path, n):
    page = write_page(bare_report(tuple(map(photo, range(n)))), tmp_path, no_thumbnail, None)
    assert data_of(page)["photos"]["count"] == n
    assert data_of(page)["root"] is None

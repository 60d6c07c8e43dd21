"""Lists as people make them: CRLF, NUL, absolute, through a pipe, with paths that lead out."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from picture_captioner.errors import NoPhotosError, UsageError
from picture_captioner.pipeline.selecting.file_list import read_file_list
from picture_captioner.pipeline.selecting.path_filter import PathFilter
from tests.pipeline.selecting.trees import KINDS, make, paths

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def listed(tmp_path):
    root = tmp_path / "photos"
    make(root, "a.jpg", "b/c.jpg", ".hidden/d.jpg", "v.mov", b"caf\xe9.jpg", "new\nline.jpg")

    def read(data, **filters):
        (tmp_path / "list").write_bytes(data)
        return read_file_list(str(tmp_path / "list"), root, KINDS, PathFilter(**filters))

    read.root = root
    return read


def test_a_list_is_read_once_each_in_path_order_with_what_is_missing(listed):
    lines = b"\xef\xbb\xbfb/c.jpg\r\n\r\n./a.jpg\n\nb/../a.jpg\nv.mov\n.hidden/d.jpg\ngone.jpg\nb"
    result = listed(lines)
    assert paths(result) == [".hidden/d.jpg", "a.jpg", "b/c.jpg"]
    assert (result.missing.examples, result.videos.examples) == (["gone.jpg"], ["v.mov"])
    assert result.other.examples == ["b"]


def test_a_nul_separated_list_holds_any_name(listed):
    result = listed(b"new\nline.jpg\0caf\xe9.jpg\0")
    assert paths(result) == ["caf\udce9.jpg", "new\nline.jpg"]


def test_absolute_paths_may_go_through_a_link_to_the_photos_directory(listed, tmp_path):
    (tmp_path / "link").symlink_to(listed.root)
    lines = f"{listed.root}/a.jpg\n/{tmp_path}/link/b/c.jpg\n".encode()
    (tmp_path / "list").write_bytes(lines)
    result = read_file_list(str(tmp_path / "list"), tmp_path / "link", KINDS)
    assert paths(result) == ["a.jpg", "b/c.jpg"]


def test_a_list_that_find_made_here_is_relative_to_here(listed, tmp_path, monkeypatch):
    """What lies in the photos directory under that name wins."""
    monkeypatch.chdir(tmp_path)
    assert paths(listed(b"photos/a.jpg\n./photos/b/c.jpg\n")) == ["a.jpg", "b/c.jpg"]
    monkeypatch.chdir(listed.root / "b")
    assert paths(listed(b"../a.jpg\nc.jpg\n")) == ["a.jpg", "b/c.jpg"]
    make(listed.root, "c.jpg")
    assert paths(listed(b"c.jpg\n")) == ["c.jpg"]


def test_accents_are_one_however_the_lists_system_writes_them(listed):
    make(listed.root, "Ile\u0301.jpg", "Caf\u00e9.jpg")
    found = listed("Il\u00e9.jpg\nCafe\u0301.jpg\n".encode())
    assert paths(found) == ["Caf\u00e9.jpg", "Ile\u0301.jpg"]
    assert not found.missing.count


@pytest.mark.parametrize("line", ["../photos-2/a.jpg", "..", "b/../../x.jpg", "/etc/a.jpg"])
def test_a_path_that_leads_out_is_refused_with_its_line(listed, line):
    with pytest.raises(UsageError, match=r"list, line 3: .* outside of the photos directory"):
        listed(f"a.jpg\n\n{line}\n".encode())


def test_filters_and_hard_links_hold_for_lists_too(listed):
    os.link(listed.root / "a.jpg", listed.root / "z.jpg")
    result = listed(b"z.jpg\na.jpg\nb/c.jpg\n", exclude=["b"])
    assert (paths(result), result.excluded.examples) == (["a.jpg", "z.jpg"], ["b/c.jpg"])
    assert result.hard_links.examples == ["z.jpg"]


def test_a_listed_path_that_leads_out_through_a_link_is_not_taken(listed, tmp_path):
    make(tmp_path / "disk", "x.jpg")
    (listed.root / "disk").symlink_to(tmp_path / "disk")
    (listed.root / "twin.jpg").symlink_to("a.jpg")
    result = listed(b"a.jpg\ndisk/x.jpg\ntwin.jpg\n")
    assert paths(result) == ["a.jpg"]
    assert result.outside.examples == [f"disk/x.jpg -> {tmp_path}/disk/x.jpg"]
    assert result.links.examples == ["twin.jpg"]
    list_file = str(tmp_path / "list")
    followed = read_file_list(list_file, listed.root, KINDS, follow_links=True)
    assert paths(followed) == ["a.jpg", "disk/x.jpg"]


def test_a_list_that_cannot_be_used_is_a_usage_error(listed, tmp_path):
    with pytest.raises(UsageError, match="save it as UTF-8"):
        listed("a.jpg\r\n".encode("utf-16"))
    with pytest.raises(UsageError, match="nowhere: No such file"):
        read_file_list(str(tmp_path / "nowhere"), listed.root, KINDS)


def test_a_disk_that_goes_away_while_the_list_is_awaited(listed, tmp_path):
    os.mkfifo(tmp_path / "slow")

    def unmount_then_answer():
        with open(tmp_path / "slow", "wb") as fifo:  # opens once the reader waits for lines
            listed.root.rename(tmp_path / "elsewhere")
            fifo.write(b"a.jpg\n")

    thread = threading.Thread(target=unmount_then_answer)
    thread.start()
    with pytest.raises(NoPhotosError, match="went away"):
        read_file_list(str(tmp_path / "slow"), listed.root, KINDS)
    thread.join()


def test_a_list_comes_through_standard_input_byte_for_byte(listed):
    script = (
        "import sys; from pathlib import Path\n"
        "from picture_captioner.pipeline.selecting.file_list import *\n"
        "found = read_file_list('-', Path(sys.argv[1]), PhotoKinds(frozenset({'.jpg'})))\n"
        "print(ascii([photo.rel_path for photo in found.photos]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, listed.root],
        input=b"caf\xe9.jpg\0a.jpg\0",
        capture_output=True,
        cwd=REPOSITORY,
        check=True,
    )
    assert done.stdout.decode().strip() == r"['a.jpg', 'caf\udce9.jpg']"

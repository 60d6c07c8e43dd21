"""The walk on real trees: odd names, links, folders nobody can read, and disks that go away."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picture_captioner.errors import ConfigurationError, NoPhotosError
from picture_captioner.pipeline.selecting.path_filter import SKIPPED_FOLDERS, PathFilter
from picture_captioner.pipeline.selecting.photos_root import ensure_present, root_id
from picture_captioner.pipeline.selecting.walk import Photo, PhotoKinds, _Seen, walk_photos
from tests.pipeline.selecting.trees import KINDS, make, paths, walk

# --- what is a photo ---


def test_kinds_are_told_apart_by_suffix_and_each_is_counted_with_examples(tmp_path):
    make(tmp_path, "a.jpg", "b.HEIC", "c.mov", "d.DNG", "e.txt", "jpg", "f.jpg/inside.jpg")
    make(tmp_path, *(f"many/{n}.mov" for n in range(7)))
    result = walk(tmp_path)
    assert paths(result) == ["a.jpg", "b.HEIC", "f.jpg/inside.jpg"]
    assert (result.videos.count, result.videos.examples[:2]) == (8, ["c.mov", "many/0.mov"])
    assert len(result.videos.examples) == 3
    assert result.raw_without_extra.examples == ["d.DNG"]
    assert result.other.examples == ["e.txt", "jpg"]


def test_what_is_no_photo_is_counted_by_kind_and_icloud_s_placeholders_as_photos(tmp_path):
    make(tmp_path, "a.PDF", "b.pdf", "v1.2/name", "letter.2004", "of 3. May", ".hidden.txt")
    make(tmp_path, ".IMG_1.HEIC.icloud", ".clip.mov.icloud", ".notes.txt.icloud", "x.jxl", "y.jp2")
    result = walk_photos(tmp_path, KINDS)
    assert result.other_kinds == {".pdf": 2, "without a suffix": 3, ".jxl": 1, ".jp2": 1}
    assert set(result.in_icloud.examples) == {".IMG_1.HEIC.icloud", ".clip.mov.icloud"}
    assert result.skipped.count == 2


def test_raw_files_are_photos_when_they_can_be_read(tmp_path):
    make(tmp_path, "a.dng")
    kinds = PhotoKinds(KINDS.photo, KINDS.raw, KINDS.video, raw_available=True)
    result = walk_photos(tmp_path, kinds)
    assert (paths(result), result.raw_without_extra.count) == (["a.dng"], 0)


def test_size_and_mtime_are_those_of_the_file_also_behind_a_link(tmp_path):
    make(tmp_path, "outside/b.jpg", "photos/a.jpg")
    (tmp_path / "outside/b.jpg").write_bytes(b"12345")
    os.utime(tmp_path / "outside/b.jpg", ns=(0, 1_234_567_890_123_456_789))
    (tmp_path / "photos/b.jpg").symlink_to(tmp_path / "outside/b.jpg")
    assert walk_photos(tmp_path / "photos", KINDS, follow_links=True).photos[1] == Photo(
        "b.jpg", 5, 1_234_567_890_123_456_789
    )


def test_only_regular_files_are_photos(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    result = walk(tmp_path)
    assert (paths(result), result.other.examples) == ([], ["pipe.jpg", "link.jpg"])


# --- names and order ---


def test_names_survive_byte_for_byte(tmp_path):
    names = [b"caf\xe9.jpg", "e\u0301.jpg".encode(), "\u00e9.jpg".encode(), b"a\nb.jpg", b" .jpg"]
    make(tmp_path, *names)
    assert [os.fsencode(path) for path in paths(walk(tmp_path))] == sorted(names)


def test_path_order_goes_by_component_and_by_byte(tmp_path):
    make(tmp_path, "a.jpg", "a/z.jpg", "a-b/c.jpg", "B.jpg", "a/b/c.jpg", "\U0001f600.jpg")
    make(tmp_path, b"\xff.jpg")
    ordered = ["B.jpg", "a/b/c.jpg", "a/z.jpg", "a-b/c.jpg", "a.jpg", "\U0001f600.jpg"]
    assert paths(walk(tmp_path)) == [*ordered, "\udcff.jpg"]


COMPONENT = st.text("ab0-. \n~", min_size=1, max_size=3).filter(lambda name: name[0] != ".")
TREE = st.lists(st.lists(COMPONENT, min_size=1, max_size=3).map("/".join), max_size=8, unique=True)


@settings(max_examples=40, deadline=None)
@given(TREE, st.randoms(use_true_random=False))
def test_order_does_not_depend_on_the_order_of_creation(tree, chance):
    shuffled = chance.sample(tree, len(tree))
    found = []
    for names in (tree, shuffled):
        with tempfile.TemporaryDirectory() as root:
            make(root, *(f"{name}.jpg" for name in names))
            found.append(paths(walk(Path(root))))
    assert found[0] == found[1]
    assert found[0] == sorted(
        (f"{name}.jpg" for name in tree), key=lambda path: os.fsencode(path).split(b"/")
    )


# --- what is left out ---


def test_hidden_names_and_thumbnail_folders_are_skipped_and_counted(tmp_path):
    hidden = [".thumbnails/a.jpg", "x/._a.jpg", ".Trash-1000/b.jpg"]
    folders = [f"y/{name.replace('*', 'My')}/c.jpg" for name, _ in SKIPPED_FOLDERS]
    make(tmp_path, *hidden, *folders, "x/$Recycle.Bin/d.jpg")
    kept = ["P.photoslibrary/originals/1.jpg", "x/a.jpg", "y/resources/derivatives/b.jpg"]
    make(tmp_path, *kept)
    result = walk(tmp_path)
    assert paths(result) == kept
    assert result.skipped.count == len(hidden) + len(folders) + 1


@pytest.mark.parametrize("bundle", ["A.photoslibrary", "A.photolibrary", "A.aplibrary"])
def test_the_originals_in_an_apple_bundle_are_taken_and_nothing_else(tmp_path, bundle):
    left_out = [
        "resources/derivatives/masters/0/1.jpg",
        "resources/proxies/derivatives/05/1.jpg",
        "scopes/syndication/resources/derivatives/1.jpg",
        "resources/media/face/1.jpg",
        "Thumbnails/2011/1.jpg",
        "Previews/2011/1.jpg",
    ]
    make(tmp_path, *(f"{bundle}/{path}" for path in [*left_out, "Masters/2011/1.jpg"]))
    assert paths(walk(tmp_path)) == [f"{bundle}/Masters/2011/1.jpg"]


@pytest.mark.parametrize("name", [".hidden", "@eaDir", "Thumbs", "P.lrdata"])
def test_the_root_may_have_any_name(tmp_path, name):
    make(tmp_path, f"{name}/a.jpg", f"{name}/@eaDir/b.jpg", f"{name}/sub/c.jpg")
    assert paths(walk(tmp_path / name)) == ["a.jpg", "sub/c.jpg"]


def test_derivatives_are_skipped_when_the_root_is_the_photos_library_itself(tmp_path):
    root = tmp_path / "P.photoslibrary"
    make(root, "resources/derivatives/a.jpg", "originals/b.jpg")
    assert paths(walk(root)) == ["originals/b.jpg"]


# --- links ---


def test_links_that_lead_out_are_not_followed_but_named(tmp_path):
    make(tmp_path, "disk/a.jpg", "single.jpg", "photos/b.jpg", "photos-2/c.jpg", "photos/in/d.jpg")
    photos = tmp_path / "photos"
    for name, target in [
        ("Disk", tmp_path / "disk"),
        ("all", "/"),
        ("c.jpg", "../single.jpg"),
        ("in/twin", tmp_path / "photos-2"),  # not inside because its name begins alike
    ]:
        (photos / name).symlink_to(target)
    (photos / "inside").symlink_to("in/../in")
    (photos / "hop").symlink_to("Disk")  # a link to a link that leads out
    result = walk(photos)
    assert paths(result) == ["b.jpg", "in/d.jpg"]
    assert result.outside.count == 5
    assert result.outside.examples == [f"Disk -> {tmp_path}/disk", "all -> /",
                                       f"c.jpg -> {tmp_path}/single.jpg"]  # fmt: skip
    assert result.links.examples == ["inside"]


def test_the_photos_directory_itself_may_be_a_link(tmp_path):
    make(tmp_path, "disk/a.jpg", "disk/in/b.jpg")
    (tmp_path / "photos").symlink_to("disk")
    (tmp_path / "disk/again.jpg").symlink_to(tmp_path / "photos/a.jpg")
    result = walk(tmp_path / "photos")
    assert paths(result) == ["a.jpg", "in/b.jpg"]
    assert (result.outside.count, result.links.examples) == (0, ["again.jpg"])


def test_links_to_folders_and_files_outside_are_followed_on_demand(tmp_path):
    make(tmp_path, "disk/2020/a.jpg", "single.jpg", "photos/b.jpg")
    (tmp_path / "photos/Disk").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/more").symlink_to(tmp_path / "extra")
    make(tmp_path, "extra/d.jpg")
    (tmp_path / "photos/c.jpg").symlink_to("../single.jpg")
    expected = ["Disk/2020/a.jpg", "Disk/more/d.jpg", "b.jpg", "c.jpg"]
    assert paths(walk_photos(tmp_path / "photos", KINDS, follow_links=True)) == expected


def test_loops_end(tmp_path):
    make(tmp_path, "photos/a/x.jpg", "beside.jpg")
    for name, target in [("a/up", ".."), ("self", "."), ("outer", ".."), ("l", "l")]:
        (tmp_path / "photos" / name).symlink_to(target)
    result = walk_photos(tmp_path / "photos", KINDS, follow_links=True)
    assert paths(result) == ["a/x.jpg", "outer/beside.jpg"]
    assert result.broken_links.examples == ["l"]
    assert sorted(result.loops.examples) == ["a/up", "outer/photos", "self"]
    assert result.links.count == 0


@pytest.mark.parametrize("link", ["a", "z"])
def test_a_real_path_wins_over_a_link_wherever_it_comes(tmp_path, link):
    make(tmp_path, "m/x.jpg")
    (tmp_path / link).symlink_to("m")
    (tmp_path / f"{link}.jpg").symlink_to("m/x.jpg")
    result = walk(tmp_path)
    assert (paths(result), result.links.examples) == (["m/x.jpg"], [link, f"{link}.jpg"])


def test_hard_links_are_photos_of_their_own_and_told(tmp_path):
    make(tmp_path, "m/x.jpg")
    for name in ("z.jpg", "b.jpg", "b.txt", "a.txt"):
        os.link(tmp_path / "m/x.jpg", tmp_path / name)
    assert paths(result := walk(tmp_path)) == ["b.jpg", "m/x.jpg", "z.jpg"]
    assert result.hard_links.examples == ["m/x.jpg", "z.jpg"]
    assert paths(walk(tmp_path, exclude=["b.jpg"])) == ["m/x.jpg", "z.jpg"]


def test_a_file_system_without_inode_numbers_does_not_make_all_files_one():
    seen = _Seen()
    assert [seen.is_new(1, inode) for inode in (0, 0, 7, 7)] == [True, True, True, False]
    assert seen.is_new(2, 7)


def test_a_link_reaches_what_was_skipped_under_its_real_path(tmp_path):
    make(tmp_path, ".originals/a.jpg")
    (tmp_path / "originals").symlink_to(".originals")
    assert paths(walk(tmp_path)) == ["originals/a.jpg"]


def test_broken_links_are_counted(tmp_path):
    make(tmp_path, "a.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "through.jpg").symlink_to("a.jpg/b.jpg")
    assert walk(tmp_path).broken_links.examples == ["gone.jpg", "through.jpg"]


# --- what cannot be read, and roots ---


def test_a_folder_whose_path_is_too_long_is_reported_and_the_walk_goes_on(tmp_path):
    make(tmp_path, "a.jpg", "z.jpg")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # 20 x 250 bytes: beyond PATH_MAX, which is 4096 on Linux
        os.mkdir("d" * 250, dir_fd=descriptor)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    result = walk(tmp_path)
    assert paths(result) == ["a.jpg", "z.jpg"]
    assert [failure.reason for failure in result.unreadable] == ["File name too long"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_without_permission_is_reported(tmp_path):
    make(tmp_path, "a.jpg", "locked/b.jpg")
    (tmp_path / "locked").chmod(0)
    result = walk(tmp_path)
    (tmp_path / "locked").chmod(0o700)
    assert (paths(result), list(result.unreadable)) == (
        ["a.jpg"],
        [("locked", "Permission denied")],
    )


class Meanwhile(PathFilter):
    """Lets something happen on disk when the walk is about to enter a folder."""

    def __init__(self, action):
        super().__init__()
        self.action = action

    def enters(self, rel_dir):
        self.action(rel_dir)
        return super().enters(rel_dir)


def test_a_folder_that_goes_away_during_the_walk_is_reported(tmp_path):
    make(tmp_path, "a.jpg", "b/x.jpg", "c.jpg")
    result = walk_photos(tmp_path, KINDS, Meanwhile(lambda rel: shutil.rmtree(tmp_path / rel)))
    assert paths(result) == ["a.jpg", "c.jpg"]
    assert list(result.unreadable) == [("b", "No such file or directory")]


def test_a_root_that_goes_away_during_the_walk_stops_it(tmp_path):
    make(tmp_path, "photos/a.jpg", "photos/b/x.jpg")
    root = tmp_path / "photos"
    with pytest.raises(NoPhotosError, match="went away"):
        walk_photos(root, KINDS, Meanwhile(lambda _: root.rename(tmp_path / "elsewhere")))


def test_a_mount_point_left_behind_is_not_the_photos_directory(tmp_path):
    make(tmp_path, "photos/a.jpg", "photos/b/x.jpg")
    root = tmp_path / "photos"

    def unmount(_):
        root.rename(tmp_path / "elsewhere")
        root.mkdir()

    with pytest.raises(NoPhotosError, match="unmounted"):
        walk_photos(root, KINDS, Meanwhile(unmount))


def test_ensure_present_accepts_the_same_directory_with_other_contents(tmp_path):
    known = root_id(tmp_path)
    make(tmp_path, "new/a.jpg")
    ensure_present(tmp_path, known)
    with pytest.raises(NoPhotosError):
        ensure_present(tmp_path / "new", known)


def test_a_missing_root_or_a_file_says_what_to_set(tmp_path):
    make(tmp_path, "a.jpg")
    with pytest.raises(ConfigurationError, match=r"--photos-dir.*PHOTOS_DIR=.*config\.env"):
        walk(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match=r"not a directory.*--files-from"):
        walk(tmp_path / "a.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_root_without_permission_holds_no_photos(tmp_path):
    tmp_path.chmod(0)
    with pytest.raises(NoPhotosError, match="Permission denied"):
        walk(tmp_path)


def test_an_empty_root_gives_an_empty_result(tmp_path):
    result = walk(tmp_path)
    assert (result.photos, result.other.count, result.unreadable) == ([], 0, [])

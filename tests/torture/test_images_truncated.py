"""Files that end too early are errors, unless they are accepted; then the record says so."""

from __future__ import annotations

import pytest
from PIL import ImageChops

from picture_captioner.errors import CorruptImageError, TruncatedImageError
from picture_captioner.image_loader.loading import examine_image, load_image
from tests.images import encoded
from tests.support import caption, effective, run_service
from tests.torture.healthy import healthy, picture

EDGE = 64
SHOWS_WHAT_IS_LEFT = {"jpg", "mpo", "png", "apng", "gif", "bmp"}
UNCOMPRESSED = {"tif/raw", "tif/16-bit", "tiff/pages"}
LACKS_A_PART = {"heic/grid", "heif/two", "tif/jpeg"}
"""Tiles, the second picture, the colour profile at the end."""

PHOTOS = {name: data for name, data in healthy().items() if not name.startswith("dng")}
"""A RAW file is decoded through its preview, which may be whole."""


def cuts(data, step):
    return [data[: len(data) * percent // 100] for percent in range(step, 100, step)]


def same(one, other):
    return ImageChops.difference(one, other).getbbox() is None


def test_cut_photos_are_truncated_or_whole(tmp_path, share, tried):
    times = lost = 0
    for name, data in PHOTOS.items():
        path = tmp_path / "photo"
        path.write_bytes(data)
        whole = load_image(path, EDGE).image
        for cut in cuts(data, share(10, 5)):
            path.write_bytes(cut)
            times += 1
            try:
                lost += not same(load_image(path, EDGE).image, whole)
            except TruncatedImageError:
                continue
            except CorruptImageError as error:
                lost += len(cut) > 800  # the header itself is cut: a palette, an index
                assert error.code == "corrupt", name
    tried("photos of every format cut short, not accepted", times, lost=lost)
    assert not lost


def test_accepted_cuts_show_what_is_left(tmp_path, share, tried):
    times = lost = 0
    shown = set()
    for name, data in PHOTOS.items():
        path = tmp_path / "photo"
        path.write_bytes(data)
        whole = load_image(path, EDGE, accept_truncated=True)
        assert not whole.truncated, name
        for cut in cuts(data, share(10, 5)):
            path.write_bytes(cut)
            times += 1
            try:
                loaded = load_image(path, EDGE, accept_truncated=True)
            except CorruptImageError as error:
                lost += error.code not in {"truncated", "corrupt"}
                continue
            blank = loaded.image.getcolors(maxcolors=1) is not None
            lost += blank or not (loaded.truncated or same(loaded.image, whole.image))
            if loaded.truncated:
                shown.add(name)
    tried("photos of every format cut short, accepted", times, lost=lost)
    assert not lost
    kinds = {name for name in PHOTOS if name.partition("/")[0] in SHOWS_WHAT_IS_LEFT}
    assert shown == kinds | UNCOMPRESSED | LACKS_A_PART


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP", "TIFF"])
def test_the_upper_part_of_an_accepted_cut_is_the_picture(tmp_path, image_format):
    data = encoded(picture(size=(160, 240)), image_format)
    path = tmp_path / "photo"
    path.write_bytes(data)
    whole = load_image(path, 240).image
    shown = []
    for cut in cuts(data, 5):
        path.write_bytes(cut)
        try:
            left = load_image(path, 240, accept_truncated=True)
        except TruncatedImageError:
            continue
        assert left.truncated
        assert (left.width, left.height) == (160, 240)
        different = ImageChops.difference(left.image, whole).convert("L").point(lambda v: v > 8)
        box = different.getbbox()
        shown.append(box[1] if image_format != "BMP" else 240 - box[3])  # BMP lies upside down
    assert shown == sorted(shown)
    assert shown[0] < 60
    assert shown[-1] > 200


def test_examining_does_not_accept_and_the_next_photo_is_strict_again(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(cuts(encoded(picture(size=(160, 240)), "JPEG"), 50)[0])
    assert load_image(path, EDGE, accept_truncated=True).truncated
    for read in (load_image, examine_image):
        with pytest.raises(TruncatedImageError):
            read(path, EDGE)


def test_a_run_records_what_it_accepted(tmp_path, plugin):
    folder = tmp_path / "photos"
    folder.mkdir()
    for kind, image_format in (("jpg", "JPEG"), ("png", "PNG"), ("heic", "HEIF"), ("webp", "WEBP")):
        data = encoded(picture(size=(160, 240)), image_format)
        (folder / f"whole.{kind}").write_bytes(data)
        (folder / f"cut.{kind}").write_bytes(data[: len(data) * 2 // 3])
    journal = tmp_path / "captions.jsonl"
    # No placeholder supersedes a verdict on the file: another backend is named.
    done = caption("run", "photos", "--captions-jsonl=other.jsonl", cwd=tmp_path)
    assert "--retry-only --accept-truncated --backend=NAME" in done.stderr
    first = run_service(tmp_path, plugin, "--photos-dir", folder)
    assert first.returncode == 0, first.stderr
    assert "what is left of the truncated photos: " in first.stderr
    assert "--retry-status=error_corrupt --retry-only --accept-truncated" in first.stderr
    found = effective(journal)
    assert {found[f"cut.{k}"]["error"]["code"] for k in ("jpg", "png", "heic", "webp")} == {
        "truncated"
    }
    retry = ("--photos-dir", folder, "--retry-status", "error_corrupt", "--accept-truncated")
    second = run_service(tmp_path, plugin, *retry)
    assert second.returncode == 0, second.stderr
    assert "--accept-truncated" not in second.stderr
    found = effective(journal)
    accepted = {path for path, record in found.items() if record.get("truncated")}
    assert accepted == {"cut.jpg", "cut.png"}
    assert all(found[path]["status"] == "success" for path in accepted)
    for kind in ("heic", "webp"):  # nothing of them can be seen
        assert found[f"cut.{kind}"]["error"]["code"] == "truncated"
    assert found["whole.heic"]["status"] == "success"

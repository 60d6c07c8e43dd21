"""Copies, bursts and near-duplicates, and pictures that look like everything."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from picture_captioner.image_loader.images import perceptual_hash
from picture_captioner.report.duplicates import find_duplicates, keeper
from picture_captioner.report.model import Likeness
from tests.images import letter
from tests.report.page.reports import bare_report
from tests.report.support import photo

NOON = datetime.fromisoformat("2024-07-13T12:00")
PATTERN = 0x0F1E2D3C4B5A6978


def groups(photos, vectors=None):
    rows = None if vectors is None else np.asarray(vectors, dtype=np.float32)
    return [
        (str(g.likeness), sorted(photos[i].rel_path for i in g.members))
        for g in find_duplicates(photos, rows)
    ]


def spread_out(count: int) -> np.ndarray:
    """Vectors of photos that have nothing in common."""
    return np.random.default_rng(1).normal(size=(count, 64)).astype(np.float32)


def test_the_same_bytes_are_exact_copies():
    photos = [photo(n, content_sha256=h) for n, h in (("a", "1"), ("b", "2"), ("c", "1"))]
    assert groups(photos) == [("exact", ["a", "c"])]


def test_photos_of_unknown_content_are_not_copies_of_each_other():
    assert groups([photo("a"), photo("b")]) == []


def test_close_hashes_are_near_duplicates():
    photos = [
        photo("a", perceptual_hash=PATTERN),
        photo("b", perceptual_hash=PATTERN ^ 0b10101),
        photo("c", perceptual_hash=PATTERN ^ 0xFFFF),
    ]
    assert groups(photos) == [("near", ["a", "b"])]


def test_vectors_of_many_alike_photos_are_compared_in_parts():
    """A camera that watches a door: 79,800 pairs of vectors at once took 0.5 GB."""
    bits = [sum((i >> b & 1) << 4 * b for b in range(9)) for i in range(400)]
    photos = [photo(str(i), perceptual_hash=PATTERN ^ some) for i, some in enumerate(bits)]
    vectors = np.random.default_rng(1).normal(size=(400, 768)).astype(np.float32)
    tracemalloc.start()
    try:
        assert find_duplicates(photos, vectors) == ()
        assert tracemalloc.get_traced_memory()[1] < 250e6
    finally:
        tracemalloc.stop()


def test_vectors_object_where_hashes_agree_by_chance():
    photos = [photo(str(i), perceptual_hash=PATTERN) for i in range(3)]
    photos += [photo(f"x{i}", perceptual_hash=PATTERN * (i + 3) % 2**64) for i in range(30)]
    vectors = spread_out(33)
    vectors[1] = vectors[0] * 1.01
    assert ("near", ["0", "1"]) in groups(photos, vectors)
    assert all("2" not in names for _, names in groups(photos, vectors))


def test_a_blank_picture_does_not_pull_everything_together():
    """A white frame's hash is almost empty, and some hashes are within reach of it."""
    blank = photo("white", perceptual_hash=0)
    faint = [photo(f"{i:02d}", perceptual_hash=1 << i) for i in range(60)]
    assert groups([blank, *faint]) == []


def test_groups_do_not_grow_into_chains():
    """Each differs from the next in four bits, the ends in forty."""
    value, photos = PATTERN, []
    for step in range(11):
        photos.append(photo(f"{step:02d}", perceptual_hash=value))
        for bit in range(4):
            value ^= 1 << (step * 4 + bit)
    for _, names in groups(photos):
        assert len(names) <= 3


def test_copies_go_with_the_one_they_are_copies_of():
    photos = [
        photo("a", content_sha256="1", perceptual_hash=PATTERN),
        photo("b", content_sha256="2", perceptual_hash=PATTERN ^ 1),
        photo("c", content_sha256="1", perceptual_hash=PATTERN),
    ]
    assert groups(photos) == [("near", ["a", "b", "c"])]


def burst(count: int, seconds: float, camera: str = "X") -> list:
    return [
        photo(
            f"{camera}{i}",
            taken_at=NOON + timedelta(seconds=i * seconds),
            camera=camera,
            perceptual_hash=PATTERN ^ (0b1011 << i),
        )
        for i in range(count)
    ]


def test_photos_of_a_moment_that_look_alike_are_a_burst():
    assert groups(burst(3, 1.0)) == [("burst", ["X0", "X1", "X2"])]


def test_a_copy_in_another_size_makes_no_burst():
    sizes = ((4000, 3000), (3000, 4000), (320, 240))
    shots = [
        replace(one, width=width, height=height)
        for one, (width, height) in zip(burst(3, 0.0), sizes, strict=True)
    ]
    assert groups(shots) == [("near", ["X0", "X1", "X2"])]
    assert groups(shots[:2]) == [("burst", ["X0", "X1"])]


def test_photos_of_a_moment_that_differ_are_no_burst():
    photos = burst(2, 1.0)
    vectors = spread_out(40)
    others = [photo(f"o{i}") for i in range(38)]
    assert groups([*photos, *others], vectors) == []


def test_colours_alone_make_no_burst():
    """A shop front and a portrait, a second apart: the vectors of colours call them alike."""
    front, portrait = burst(1, 1.0)[0], replace(burst(2, 1.0)[1], perceptual_hash=~PATTERN % 2**64)
    vectors = spread_out(40)
    vectors[1] = vectors[0] * 1.01
    others = [photo(f"o{i}") for i in range(38)]
    assert groups([front, portrait, *others], vectors) == []


def test_pictures_without_structure_are_no_burst():
    photos = [replace(one, perceptual_hash=1 << i) for i, one in enumerate(burst(3, 1.0))]
    assert groups(photos) == []


def test_an_unknown_camera_or_a_day_without_an_hour_is_no_burst():
    """Photos that came through a messenger on one day: other people's, all of them at noon."""
    photos = [
        replace(one, perceptual_hash=PATTERN ^ (0b111 << (3 * i)), taken_at=NOON)
        for i, one in enumerate(burst(3, 0.0))
    ]
    assert [kind for kind, _ in groups(photos)] == ["burst"]
    assert "burst" not in {k for k, _ in groups([replace(p, camera=None) for p in photos])}
    assert "burst" not in {k for k, _ in groups([replace(p, day_only=True) for p in photos])}


def test_two_cameras_or_two_moments_are_no_burst():
    one, other = burst(1, 1.0, "X"), burst(1, 1.0, "Y")
    assert all(kind != "burst" for kind, _ in groups([*one, *other]))
    assert all(kind != "burst" for kind, _ in groups(burst(2, 60.0)))


def test_a_zone_on_one_of_two_times_is_no_error():
    photos = burst(2, 0.0)
    aware = photo("a", taken_at=NOON.astimezone(), perceptual_hash=PATTERN, camera="X")
    assert ("burst", ["X0", "X1"]) in groups([*photos, aware])


def test_the_keeper_is_the_sharpest_then_the_largest():
    photos = [
        photo("blurred", sharpness=10, width=4000, height=3000),
        photo("small", sharpness=101, width=400, height=300),
        photo("large", sharpness=100, width=4000, height=3000),
    ]
    assert keeper(photos, [0, 1, 2]) == 2
    assert keeper(photos, [0, 1]) == 0, "a tiny one is no photo to keep"
    sent = [photo("IMG-WA.jpg", sharpness=120), photo("IMG_1.jpg", sharpness=100, camera="Pixel 8")]
    assert keeper(sent, [0, 1]) == 1, "a messenger takes the camera out, and its JPEG has noise"
    copies = [photo("copies/IMG_1 (1).jpg"), photo("2024/a longer name/IMG_1.jpg")]
    assert keeper(copies, [0, 1]) == 1
    thrown = [
        photo("Papierkorb/IMG_1.jpg", sharpness=120),
        photo("Photos from 2022/IMG_1(1).jpg", sharpness=9),
    ]
    assert keeper(thrown, [0, 1]) == 1, "nobody keeps what is in the bin"
    of_a_mac = [photo("Gelo\u0308scht/IMG_1.jpg"), photo("IMG_1(1).jpg")]
    assert keeper(of_a_mac, [0, 1]) == 1
    assert keeper([thrown[0], photo("a/Trash/b.jpg")], [0, 1]) == 0
    told = [photo("WhatsApp/Sent/IMG-1.jpg"), photo("Takeout/IMG_1(1).jpg", told_people=("Anna",))]
    assert keeper(told, [0, 1]) == 1, "the words beside a photo go with it"


def thumbnail(picture: Image.Image, *, quality: int = 75) -> bytes:
    small = picture.convert("RGB")
    small.thumbnail((320, 320))
    small.save(stream := io.BytesIO(), "WEBP", quality=quality)
    return stream.getvalue()


def portrait(seed: int) -> Image.Image:
    """Bright in the middle as every portrait is, and otherwise somebody's own."""
    cells = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((640, 640), Image.Resampling.BICUBIC)


def test_thumbnails_object_where_hashes_agree_and_know_copies():
    anna = portrait(1)
    pictures = {
        "anna": anna,
        "berta": portrait(2),
        "small": anna.resize((160, 160)),
        "dithered": anna.convert("1"),
    }
    thumbnails = {name: thumbnail(picture) for name, picture in pictures.items()}
    photos = [
        photo(name, perceptual_hash=PATTERN, sharpness=900 if name == "dithered" else 10,
              width=pictures[name].width, height=pictures[name].height, content_sha256=name)
        for name in pictures
    ]  # fmt: skip
    copy = replace(photos[0], rel_path="anna (1)")
    (found,) = find_duplicates([*photos, copy], None, lambda p: thumbnails[p.content_sha256])
    assert [int(i) for i in found.members] == [0, 2, 3, 4]
    assert found.keeper == 0
    report = replace(bare_report((*photos, copy)), duplicates=(found,))
    assert report.exact_copies().keys() == {4}


def read(picture: Image.Image, name: str):
    """As the program reads it, and its thumbnail."""
    small = picture.copy()
    small.thumbnail((512, 512))
    return photo(name, perceptual_hash=perceptual_hash(picture), content_sha256=name), thumbnail(
        small
    )


def found_in(pictures: dict[str, Image.Image]) -> list[list[str]]:
    seen = [read(picture, name) for name, picture in pictures.items()]
    thumbnails = {one.rel_path: webp for one, webp in seen}
    found = find_duplicates([one for one, _ in seen], None, lambda p: thumbnails[p.rel_path])
    return [sorted(seen[int(i)][0].rel_path for i in group.members) for group in found]


def scene(seed: int) -> Image.Image:
    """Soft, as photos are: many neighbouring cells differ by a level or two."""
    random = np.random.default_rng(seed)
    cells = sum(
        np.asarray(
            Image.fromarray(random.normal(size=(n, n)).astype(np.float32)).resize((800, 600))
        )
        * (60 / n**0.7)
        for n in (2, 4, 8, 16, 32, 64, 128)
    )
    return Image.fromarray(np.clip(120 + cells, 0, 255).astype(np.uint8)).convert("RGB")


def resaved(picture: Image.Image, share: float, quality: int) -> Image.Image:
    small = picture.resize((round(picture.width * share), round(picture.height * share)))
    small.save(stream := io.BytesIO(), "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def test_small_copies_are_found_and_no_others():
    """In several of them more than five bits of the hash flip."""
    pictures = {}
    for seed in range(12):
        whole = pictures[f"{seed:02d}"] = scene(seed)
        for share, quality in ((0.9, 90), (0.5, 60), (0.25, 40)):
            pictures[f"{seed:02d} at {share}"] = resaved(whole, share, quality)
    groups = found_in(pictures)
    assert sorted(groups) == [
        [f"{seed:02d}", *(f"{seed:02d} at {share}" for share in (0.25, 0.5, 0.9))]
        for seed in range(12)
    ]


def sunset(seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:1:384j, -1:1:512j]
    light = np.exp(-(((y - random.uniform(0.5, 0.6)) / 0.25) ** 2) - (x / 0.7) ** 2)
    clouds = np.asarray(scene(seed).resize((512, 384)).convert("L"), dtype=np.float32) - 120
    return Image.fromarray(np.clip(40 + 170 * light + 0.25 * clouds, 0, 255).astype(np.uint8))


def test_a_damaged_thumbnail_is_none():
    photos = [photo("a", perceptual_hash=PATTERN), photo("b", perceptual_hash=PATTERN ^ 1)]
    half = thumbnail(scene(1))[:100]
    (found,) = find_duplicates(photos, None, lambda p: half)
    assert [int(i) for i in found.members] == [0, 1]


@pytest.mark.parametrize("drawn", [letter, sunset])
def test_letters_with_one_head_and_sunsets_are_no_copies_of_each_other(drawn):
    pictures = {f"{seed:02d}": drawn(seed) for seed in range(16)}
    assert found_in(pictures) == []
    assert found_in(pictures | {"copy": resaved(pictures["03"].convert("RGB"), 0.5, 80)}) == [
        ["03", "copy"]
    ]


def test_no_photo_is_in_two_groups():
    random = np.random.default_rng(3)
    photos = [
        photo(
            f"{i:03d}",
            content_sha256=str(random.integers(60)),
            perceptual_hash=PATTERN ^ int(random.integers(2**8)),
            taken_at=NOON + timedelta(seconds=int(random.integers(60))),
        )
        for i in range(120)
    ]
    found = find_duplicates(photos, None)
    members = [i for group in found for i in group.members.tolist()]
    assert len(members) == len(set(members))
    assert all(group.keeper in group.members for group in found)
    assert [g.id for g in found] == list(range(1, len(found) + 1))
    assert {g.likeness for g in found} <= set(Likeness)


def test_raw_and_jpeg_of_one_shot_are_no_duplicates():
    """Somebody deletes by this list, and nobody shoots both to throw one of them away."""
    look = {"perceptual_hash": PATTERN, "taken_at": NOON}
    shot = [photo("d/IMG_1.CR2", **look), photo("d/IMG_1.JPG", **look)]
    assert groups(shot) == []
    other = photo("e/IMG_1.JPG", **look)
    assert groups([*shot, other]) == [("near", ["d/IMG_1.JPG", "e/IMG_1.JPG"])]
    later = replace(shot[1], taken_at=NOON + timedelta(days=400))
    assert groups([shot[0], later]) == [("near", ["d/IMG_1.CR2", "d/IMG_1.JPG"])]
    copies = [replace(one, content_sha256="1") for one in (shot[0], photo("copy.CR2"))]
    assert groups([*copies, shot[1]]) == [("exact", ["copy.CR2", "d/IMG_1.CR2"])]

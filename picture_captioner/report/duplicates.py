"""Photos of which one would do: exact copies, bursts and near-duplicates.

No photo is in two groups. Exact copies stand for one photo in what follows; a burst is looked for
before near-duplicates, because it says more: its photos differ in the moment.

Somebody deletes by this list. So a burst needs times that a camera wrote, one camera that is known,
and perceptual hashes that are close: two photos a second apart with the same colours (a shop front
and a portrait) are two photos.

Nor does a hash of 64 bits tell portraits, sunsets or letters apart, which have one layout: the
detail of the thumbnails has the last word, where there are any. So hashes may differ in more bits
there: in a small copy some flip.

Groups are stars, not chains: every member resembles the one in the middle. With chains, photo A
like B like C like D would end in a group whose ends have nothing in common, and one blank picture
would tie half a library together.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from picture_captioner.image_loader.formats import RAW_EXTENSIONS
from picture_captioner.image_loader.images import (
    STRUCTURE_EDGE,
    detail_of,
    same_details,
    structure_of,
)
from picture_captioner.report.chunks import in_order_of_time
from picture_captioner.report.geometry import unit_rows
from picture_captioner.report.hash_pairs import close_pairs, is_telling
from picture_captioner.report.model import DuplicateGroup, Indices, Likeness, ReportPhoto

NEAR_BITS = 10
"""Of 64 in which the perceptual hashes of two near-duplicates may differ."""

UNSEEN_BITS = 5
"""Where no thumbnails tell more."""

BURST_BITS = 12
"""For a burst, whose photos differ in the moment. Of 465 pairs of different photos one (a city and
a receipt) was within 14, none within 12."""

BURST_SECONDS = 3.0

NEAR_SHARE = 0.25
BURST_SHARE = 0.5
"""Of the median cosine distance of two photos in the library: what is near differs from one
embedder to the next, this share does not."""

SAMPLED_PAIRS = 20_000

_BESIDE_RAW = {".jpg", ".jpeg", ".heic", ".heif", ".hif"}

SHARPNESS_STEP = 1.05
"""Sharpness within 5 % is the same; size decides then."""


TINY_SHARE = 0.25
"""Of the pixels of a group's largest member: what has fewer is no photo to keep, however sharp."""

Thumbnail: TypeAlias = Callable[[ReportPhoto], bytes | None]
_Pairs: TypeAlias = tuple[Indices, Indices]

_COMPARED = 4096
"""Pairs whose vectors or details are compared at a time."""


def no_thumbnail(_: ReportPhoto) -> bytes | None:
    """Where no thumbnails are known."""
    return None


class _Likes:
    """Whether two photos look alike, by their vectors as far as known."""

    def __init__(self, vectors: NDArray[np.float32] | None, count: int) -> None:
        known, rows = (
            (np.zeros(count, dtype=np.bool_), np.zeros((0, 1), dtype=np.float32))
            if vectors is None
            else unit_rows(vectors)
        )
        self._row = np.full(count, -1, dtype=np.int64)
        self._row[known] = np.arange(len(rows))
        self._rows = rows
        self._typical = _median_distance(rows)

    def known(self, i: Indices, j: Indices) -> NDArray[np.bool_]:
        """For which pairs the vectors can say something."""
        return (self._row[i] >= 0) & (self._row[j] >= 0)

    def alike(self, i: Indices, j: Indices, share: float) -> NDArray[np.bool_]:
        """Which pairs are within a share of the typical distance; pairs without vectors are not."""
        found = self.known(i, j)
        seen = np.flatnonzero(found)
        for start in range(0, len(seen), _COMPARED):
            some = seen[start : start + _COMPARED]
            a, b = self._rows[self._row[i[some]]], self._rows[self._row[j[some]]]
            found[some] = 1.0 - np.einsum("ij,ij->i", a, b) <= share * self._typical
        return found


class _Details:
    """What the thumbnails show, of those photos alone about which somebody asks."""

    def __init__(self, photos: Sequence[ReportPhoto], thumbnail: Thumbnail) -> None:
        self._photos, self._thumbnail = photos, thumbnail
        self._looked = np.zeros(len(photos), dtype=np.bool_)
        self._known = np.zeros(len(photos), dtype=np.bool_)
        self._in_colour = np.zeros(len(photos), dtype=np.bool_)
        self._rows = np.zeros((len(photos), STRUCTURE_EDGE**2), dtype=np.int8)

    def in_colour(self, photo: int) -> bool:
        """Whether it is known to have colours."""
        self._look(photo)
        return bool(self._in_colour[photo])

    def agree(self, i: Indices, j: Indices, bits: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which pairs are one picture; `bits`, in which the hashes differ, where one is unknown."""
        for photo in np.unique([i, j]):
            self._look(int(photo))
        known = self._known[i] & self._known[j]
        found = ~known & (bits <= UNSEEN_BITS)
        seen = np.flatnonzero(known)
        for start in range(0, len(seen), _COMPARED):
            some = seen[start : start + _COMPARED]
            found[some] = same_details(self._rows[i[some]], self._rows[j[some]])
        return found

    def _look(self, photo: int) -> None:
        if self._looked[photo]:
            return
        self._looked[photo] = True
        thumbnail = self._thumbnail(self._photos[photo])
        if thumbnail and (structure := structure_of(thumbnail)):
            self._known[photo] = True
            self._in_colour[photo] = structure.in_colour
            self._rows[photo] = detail_of(structure)


def _median_distance(rows: NDArray[np.float32]) -> float:
    if len(rows) < 2:
        return 0.0
    random = np.random.default_rng(0)
    i, j = random.integers(len(rows), size=(2, SAMPLED_PAIRS))
    distinct = i != j
    similarity = np.einsum("ij,ij->i", rows[i[distinct]], rows[j[distinct]])
    return float(np.median(1.0 - similarity))


def find_duplicates(
    photos: Sequence[ReportPhoto],
    vectors: NDArray[np.float32] | None,
    thumbnail: Thumbnail = no_thumbnail,
) -> tuple[DuplicateGroup, ...]:
    """Every group of two or more, the largest first; ids count up from 1.

    `vectors` (n, d) are of the pictures (not of captions), zeros where unknown; None for none.
    """
    details = _Details(photos, thumbnail)
    copies = _copies(photos)
    paired = raw_of_shots(photos)
    singles = np.array(sorted(g[0] for g in copies if g[0] not in paired), dtype=np.int64)
    likes = _Likes(vectors, len(photos))
    bursts = _stars(*_burst_pairs(photos, singles, likes))
    taken = {i for star in bursts for i in star}
    rest = np.array([i for i in singles if int(i) not in taken], dtype=np.int64)
    near = _stars(*_near_pairs(photos, rest, likes, details))
    return _groups(photos, copies, bursts, near, details)


def raw_of_shots(photos: Sequence[ReportPhoto]) -> set[int]:
    """RAW files beside the JPEG or HEIC of the same shot: of these nobody means to delete one."""
    stems: defaultdict[str, list[int]] = defaultdict(list)
    for i, photo in enumerate(photos):
        stems[photo.rel_path.rpartition(".")[0]].append(i)
    found: set[int] = set()
    for members in stems.values():
        raw = [i for i in members if _suffix(photos[i]) in RAW_EXTENSIONS]
        beside = [i for i in members if _suffix(photos[i]) in _BESIDE_RAW]
        if len(raw) == len(beside) == 1 and _one_time(photos[raw[0]], photos[beside[0]]):
            found.add(raw[0])
    return found


def _suffix(photo: ReportPhoto) -> str:
    return f".{photo.rel_path.rpartition('.')[2].lower()}"


def _one_time(a: ReportPhoto, b: ReportPhoto) -> bool:
    return a.taken_at is None or b.taken_at is None or _same_moment(a, b)


def _copies(photos: Sequence[ReportPhoto]) -> list[list[int]]:
    """All photos in groups of the same content; those of unknown content alone."""
    by_content: defaultdict[object, list[int]] = defaultdict(list)
    for i, photo in enumerate(photos):
        by_content[photo.content_sha256 or i].append(i)
    return list(by_content.values())


def _hashes(photos: Sequence[ReportPhoto], which: Iterable[int]) -> NDArray[np.uint64]:
    values = [(photos[i].perceptual_hash or 0) & (2**64 - 1) for i in which]
    return np.array(values, dtype=np.uint64)


def _near_pairs(
    photos: Sequence[ReportPhoto], which: Indices, likes: _Likes, details: _Details
) -> _Pairs:
    """Pairs with close hashes to which neither vectors nor thumbnails, if any, object."""
    hashes = _hashes(photos, which)
    telling = is_telling(hashes)
    which, hashes = which[telling], hashes[telling]
    found_i, found_j = [which[:0]], [which[:0]]
    for a, b in close_pairs(hashes, NEAR_BITS):
        i, j, bits = which[a], which[b], np.bitwise_count(hashes[a] ^ hashes[b])
        agreed = np.flatnonzero(likes.alike(i, j, NEAR_SHARE) | ~likes.known(i, j))
        alike = agreed[details.agree(i[agreed], j[agreed], bits[agreed])]
        found_i.append(i[alike])
        found_j.append(j[alike])
    return np.concatenate(found_i), np.concatenate(found_j)


def _burst_pairs(photos: Sequence[ReportPhoto], which: Indices, likes: _Likes) -> _Pairs:
    """Pairs taken by one camera within `BURST_SECONDS` whose hashes are close.

    Vectors, where there are any, may object and never decide: those of colours and layout find a
    shop front and a portrait alike.
    """
    wanted = set(which.tolist())
    order = [int(i) for i in in_order_of_time(photos) if int(i) in wanted and _can_burst(photos[i])]
    pairs = []
    for place, one in enumerate(order):
        for other in order[place + 1 :]:
            if not _same_moment(photos[one], photos[other]):
                break
            if photos[one].camera == photos[other].camera:
                pairs.append((one, other))
    i, j = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    hashes_i, hashes_j = _hashes(photos, i.tolist()), _hashes(photos, j.tolist())
    alike = np.bitwise_count(hashes_i ^ hashes_j) <= BURST_BITS
    alike &= is_telling(hashes_i) & is_telling(hashes_j)
    alike &= likes.alike(i, j, BURST_SHARE) | ~likes.known(i, j)
    return i[alike], j[alike]


def _can_burst(photo: ReportPhoto) -> bool:
    """Whether camera and moment are known; a file name that states the day alone says noon."""
    return not photo.day_only and photo.camera is not None


def _same_moment(a: ReportPhoto, b: ReportPhoto) -> bool:
    if a.taken_at is None or b.taken_at is None:
        return False
    if (a.taken_at.tzinfo is None) != (b.taken_at.tzinfo is None):
        return False
    return abs((b.taken_at - a.taken_at).total_seconds()) <= BURST_SECONDS


def _stars(i: Indices, j: Indices) -> list[list[int]]:
    """Disjoint groups of pairs, each around a photo that all its members are paired with.

    The photo with most partners is taken first, of equals the first one.
    """
    one, other = np.concatenate([i, j]), np.concatenate([j, i])
    order = np.argsort(one, kind="stable")
    other = other[order]
    middles, starts, counts = np.unique(one[order], return_index=True, return_counts=True)
    used = np.zeros(int(one.max(initial=-1)) + 1, dtype=np.bool_)
    stars = []
    for place in np.lexsort((middles, -counts)):
        middle, start = middles[place], starts[place]
        members = other[start : start + counts[place]]
        members = members[~used[members]]
        if not used[middle] and len(members):
            star = sorted([int(middle), *members.tolist()])
            used[star] = True
            stars.append(star)
    return stars


def _groups(
    photos: Sequence[ReportPhoto],
    copies: Sequence[list[int]],
    bursts: Sequence[list[int]],
    near: Sequence[list[int]],
    details: _Details,
) -> tuple[DuplicateGroup, ...]:
    """The groups with the copies of their members in them."""
    copies_of = {group[0]: group for group in copies}
    starred = {i for star in (*bursts, *near) for i in star}
    alone = [g for g in copies if len(g) > 1 and g[0] not in starred]
    found = [(_kind_of_burst(photos, star), star) for star in bursts]
    found += [(Likeness.NEAR, star) for star in near]
    whole = [(kind, sorted(m for i in star for m in copies_of[i])) for kind, star in found]
    whole += [(Likeness.EXACT, group) for group in alone]
    whole.sort(key=lambda item: (-len(item[1]), item[1][0]))
    return tuple(
        DuplicateGroup(
            number,
            kind,
            np.array(members, dtype=np.int64),
            keeper(photos, members, details.in_colour),
        )
        for number, (kind, members) in enumerate(whole, 1)
    )


def _kind_of_burst(photos: Sequence[ReportPhoto], star: Sequence[int]) -> Likeness:
    """A copy in another size has the time of its photo; no camera changes size within a burst."""
    sizes = {_size(photos[i])[0] for i in star} - {0}
    return Likeness.BURST if len(sizes) < 2 else Likeness.NEAR


def keeper(
    photos: Sequence[ReportPhoto],
    members: Sequence[int],
    in_colour: Callable[[int], bool] = lambda _: False,
) -> int:
    """The sharpest of the members, of about equally sharp ones the largest.

    None in a bin (Takeout exports that, too). None that lost the colours that others have
    (dithered, it looks sharper), none that is tiny, and none that lost its camera (a messenger's
    copy, which looks sharper by the noise of its JPEG).
    Then the one with most bytes, then one of which other programs know the people or the place,
    then one that is not named like a copy (`IMG_1 (1).jpg`), then the first.
    """
    members = [i for i in members if not _BIN.search(_composed(photos[i]))] or members
    coloured = [i for i in members if in_colour(i)]
    members = coloured or members
    largest = max(_size(photos[i])[0] for i in members)
    members = [i for i in members if _size(photos[i])[0] >= TINY_SHARE * largest]
    members = [i for i in members if photos[i].camera] or members
    sharpest = max(photos[i].sharpness or 0.0 for i in members)
    sharp = [i for i in members if (photos[i].sharpness or 0.0) * SHARPNESS_STEP >= sharpest]
    return max(
        sharp,
        key=lambda i: (
            *_size(photos[i]),
            _is_told(photos[i]),
            not _COPY.search(photos[i].rel_path),
            -i,
        ),
    )


def _composed(photo: ReportPhoto) -> str:
    """Its path with `ö` as one character; of a Mac it may be two."""
    return unicodedata.normalize("NFC", photo.rel_path)


def _is_told(photo: ReportPhoto) -> bool:
    return bool(photo.told_people or photo.told_places)


def _size(photo: ReportPhoto) -> tuple[int, int]:
    return (photo.width or 0) * (photo.height or 0), photo.size or 0


_BIN = re.compile(
    r"(?:^|/)(?:trash|bin|recycle bin|(?:recently )?deleted(?: items)?|papierkorb|gelöscht[^/]*|"
    r"corbeille|papelera|cestino|lixeira|prullenbak|papperskorg(?:en)?|papirkurv|kosz|ゴミ箱)/",
    re.IGNORECASE,
)
"""A folder for what somebody threw away; those of systems and NAS are not walked at all."""

_COPY = re.compile(r"\(\d+\)|\bcop(?:y|ies|ie|ia)\b|\bkopien?\b|~\d", re.IGNORECASE)

"""Named faces as areas of the picture as it is stored (Metadata Working Group, 2010).

Faces are found in the upright photo. Readers (Immich's orientRegionInfo, digiKam) take areas as
shares of the stored picture and turn them by its EXIF orientation, so they are turned back here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from picture_captioner.metadata.claims import Metadata
from picture_captioner.metadata.xmp_packet import Region, XmpPacket

SAME_FACE = 0.3
"""Overlap from which a region of somebody's own is of the face that we would name: theirs stays.
People draw larger boxes than detectors do."""
LIST, REGIONS = "mwg-rs:RegionList", "mwg-rs:Regions"

_TO_STORED: Mapping[int, Callable[[float, float], tuple[float, float]]] = {
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (y, 1 - x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (1 - y, x),
}
"""From a place in the upright photo to that in the stored one, by EXIF orientation, as shares."""
_SIDEWAYS = 5
"""The orientation from which width and height change places."""


def region_of(
    name: str, box: Sequence[float], size: tuple[int, int], orientation: int
) -> Region | None:
    """A face of the upright photo, (x, y, width, height) in pixels; None if it is outside."""
    wide, high = size
    left, right = (min(max(value / wide, 0.0), 1.0) for value in (box[0], box[0] + box[2]))
    upper, lower = (min(max(value / high, 0.0), 1.0) for value in (box[1], box[1] + box[3]))
    if right <= left or lower <= upper:
        return None
    x, y = (left + right) / 2, (upper + lower) / 2
    width, height = right - left, lower - upper
    if orientation in _TO_STORED:
        x, y = _TO_STORED[orientation](x, y)
    if orientation >= _SIDEWAYS:
        width, height = height, width
    return Region(name, "Face", x, y, width, height)


def stored_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """The stored picture's size, of an upright one's."""
    return (size[1], size[0]) if orientation >= _SIDEWAYS else size


def orientation_of(metadata: Metadata) -> int:
    """The EXIF orientation, 1 if the photo states none that makes sense."""
    value = metadata.exif.get("Orientation")
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def own_regions(metadata: Metadata) -> tuple[Region, ...] | None:
    """What the photo itself names; None if it names areas of which we do not know where they are.

    A sidecar with regions hides those in the photo from some readers: then it must have them, too.
    """
    block = metadata.xmp.get(REGIONS)
    listed = block.get(LIST) if isinstance(block, dict) else None
    items = listed if isinstance(listed, list) else [listed] if listed else []
    found = [_own_region(item) for item in items if isinstance(item, dict)]
    regions = tuple(region for region in found if region is not None)
    return regions if len(regions) == len(items) else None


def _own_region(item: Mapping[str, Any]) -> Region | None:
    area = item.get("mwg-rs:Area")
    name, kind = item.get("mwg-rs:Name", ""), item.get("mwg-rs:Type", "")
    if not isinstance(area, dict):
        return None
    try:
        x, y, width, height = (float(area[f"stArea:{side}"]) for side in ("x", "y", "w", "h"))
    except (KeyError, TypeError, ValueError):
        return None
    return Region(str(name), str(kind), x, y, width, height)


def take_out_people(
    packet: XmpPacket, wanted: Iterable[Region], before: Collection[str]
) -> list[str]:
    """Remove names that an earlier write of ours put in and that are not meant any more."""
    there = {region.name for region in packet.regions()}
    gone = sorted(there & set(before) - {region.name for region in wanted})
    if gone:
        packet.remove_regions(gone)
    return gone


def add_people(
    packet: XmpPacket,
    wanted: Sequence[Region],
    own: tuple[Region, ...] | None,
    size: tuple[int, int],
) -> list[str] | None:
    """Put named faces into a packet; our names that were added, None if something was in the way.

    Args:
        own: what the photo itself names, as `own_regions` says.
        size: of the stored picture in pixels.
    """
    there = packet.regions()
    if wanted and not there and own is None:
        return None
    theirs = there or list(own or ())
    free = [r for r in wanted if all(_overlap(r, other) < SAME_FACE for other in theirs)]
    if not free:
        return []
    added = packet.add_regions([*theirs, *free], *size)
    return [region.name for region in added if region in free]


def _overlap(one: Region, other: Region) -> float:
    """Intersection over union of two areas that are given by their middles."""
    wide = (one.width + other.width) / 2 - abs(one.x - other.x)
    high = (one.height + other.height) / 2 - abs(one.y - other.y)
    wide, high = (
        min(wide, one.width, other.width),
        min(high, one.height, other.height),
    )
    if wide <= 0 or high <= 0:
        return 0.0
    shared = wide * high
    return shared / (one.width * one.height + other.width * other.height - shared)

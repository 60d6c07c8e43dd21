"""Draw the example photos: `python examples/draw_photos.py [DIR]`.

A small library to try the program on, and to look at, that shows nobody's face or home: two events
half a year apart, four formats, GPS, a photo stored on its side, an exact copy, a file cut short on
purpose and one that is no photo. The same libraries draw the same bytes each time.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pillow_heif
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from drawing.cat import cat
from drawing.closeups import flowers, lights_out_of_focus, pizza
from drawing.family import family
from drawing.outdoors import mountain_lake, snowy_cabin, sunset_beach
from drawing.paper import receipt, settings_window
from drawing.town import city_at_night, foggy_street

DEFAULT_DIRECTORY = Path(__file__).parent / "photos"
SAVE_OPTIONS: dict[str, dict[str, int | bool]] = {
    ".jpg": {"quality": 84, "optimize": True},
    ".heic": {"quality": 60},
    ".webp": {"quality": 80, "method": 6},
    ".png": {"optimize": True},
}
FORMATS = {".jpg": "JPEG", ".heic": "HEIF", ".webp": "WEBP", ".png": "PNG"}

ORIGINAL = "2024-07-lake/mountain_lake.jpg"
COPY = "copies/mountain_lake (1).jpg"
CUT_SHORT = "2024-12-winter/truncated_on_purpose.jpg"
NOTES = "notes.txt"
NOTES_TEXT = "Not a photo: it is here to be passed over.\n"


@dataclass(frozen=True)
class Picture:
    """One photo: what draws it, and what its camera would have noted.

    `taken` and `offset` are local time and UTC offset as EXIF writes them, empty for a screenshot;
    `place` is latitude and longitude in degrees, north and east positive; `on_its_side` stores the
    pixels turned, with EXIF orientation 6 to turn them back.
    """

    path: str
    draw: Callable[[], Image.Image]
    taken: str = ""
    offset: str = ""
    place: tuple[float, float] | None = None
    on_its_side: bool = False


SUMMER, WINTER = "+02:00", "+01:00"
PICTURES = (
    Picture(ORIGINAL, mountain_lake, "2024:07:13 09:42:10", SUMMER, place=(46.57, 10.52)),
    Picture("2024-07-lake/family.jpg", family, "2024:07:13 11:05:33", SUMMER),
    Picture("2024-07-lake/pizza.jpg", pizza, "2024:07:13 13:20:48", SUMMER),
    Picture("2024-07-lake/flowers.heic", flowers, "2024:07:14 10:15:02", SUMMER),
    Picture("2024-07-lake/sunset_beach.jpg", sunset_beach, "2024:07:14 20:51:27", SUMMER),
    Picture("2024-12-winter/snowy_cabin.jpg", snowy_cabin, "2024:12:24 08:30:19", WINTER),
    Picture("2024-12-winter/receipt.jpg", receipt, "2024:12:24 10:47:55", WINTER),
    Picture("2024-12-winter/foggy_street.jpg", foggy_street, "2024:12:24 11:02:40", WINTER),
    Picture("2024-12-winter/cat.jpg", cat, "2024:12:24 14:36:08", WINTER),
    Picture("2024-12-winter/city.jpg", city_at_night, "2024:12:24 18:12:30", WINTER, None, True),
    Picture("2024-12-winter/lights.webp", lights_out_of_focus, "2024:12:24 18:20:01", WINTER),
    Picture("screenshots/settings.png", settings_window),
)


def draw_all(directory: Path) -> int:
    """Draw every example file below `directory`; returns their size in bytes together."""
    for picture in PICTURES:
        _write(directory / picture.path, encode(picture))
    whole = encode(Picture(CUT_SHORT, snowy_cabin, "2024:12:24 08:30:24", WINTER))
    _write(directory / CUT_SHORT, whole[: len(whole) * 2 // 5])
    (directory / COPY).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(directory / ORIGINAL, directory / COPY)
    _write(directory / NOTES, NOTES_TEXT.encode("ascii"))
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def encode(picture: Picture) -> bytes:
    """The bytes of one photo's file, metadata included."""
    image = picture.draw()
    if picture.on_its_side:
        image = image.transpose(Image.Transpose.ROTATE_90)
    suffix = Path(picture.path).suffix
    extra = {"exif": _exif(picture).tobytes()} if picture.taken else {}
    buffer = io.BytesIO()
    image.save(buffer, FORMATS[suffix], **SAVE_OPTIONS[suffix], **extra)
    return buffer.getvalue()


def _exif(picture: Picture) -> Image.Exif:
    """Metadata of a camera that does not exist."""
    exif = Image.Exif()
    exif[Base.Make] = "Imaginary Optics"
    exif[Base.Model] = "Daydream 12"
    exif[Base.Orientation] = 6 if picture.on_its_side else 1
    exif[Base.DateTime] = picture.taken
    details = exif.get_ifd(IFD.Exif)
    details[Base.DateTimeOriginal] = picture.taken
    details[Base.OffsetTimeOriginal] = picture.offset
    if picture.place:
        exif.get_ifd(IFD.GPSInfo).update(_gps(*picture.place))
    return exif


def _gps(latitude: float, longitude: float) -> dict[int, object]:
    return {
        GPS.GPSLatitudeRef: "N" if latitude >= 0 else "S",
        GPS.GPSLatitude: _sexagesimal(latitude),
        GPS.GPSLongitudeRef: "E" if longitude >= 0 else "W",
        GPS.GPSLongitude: _sexagesimal(longitude),
    }


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    """Degrees, minutes and seconds, as EXIF keeps a coordinate."""
    seconds = round(abs(degrees) * 3600, 2)
    return float(seconds // 3600), float(seconds % 3600 // 60), round(seconds % 60, 2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw into the directory named on the command line."""
    parser = argparse.ArgumentParser(description="Draw the example photos.")
    parser.add_argument("directory", nargs="?", type=Path, default=DEFAULT_DIRECTORY)
    directory: Path = parser.parse_args(arguments).directory
    pillow_heif.register_heif_opener()
    size = draw_all(directory)
    sys.stdout.write(f"{len(PICTURES) + 3} files, {size / 1e6:.2f} MB, in {directory}\n")


if __name__ == "__main__":
    main()

"""Good photos of every supported format and layout, full of what must not leave them."""

from __future__ import annotations

import functools
import io
import random
from collections.abc import Iterator

import pillow_heif
from PIL import Image, PngImagePlugin

from tests.images import dng, encoded, p3_profile, png
from tests.torture.heif_boxes import heic_grid

SECRET = "s3cret-Grandmother"
"""In every text that a healthy photo carries."""

_SIZE = (72, 54)


@functools.cache
def healthy() -> dict[str, bytes]:
    """File contents by `extension/layout`; the same bytes in every run of one version of Pillow."""
    pillow_heif.register_heif_opener()
    found: dict[str, bytes] = {}
    for part in (_jpegs, _pngs, _heifs, _webps, _tiffs, _others):
        found.update(part())
    return found


def picture(mode: str = "RGB", size: tuple[int, int] = _SIZE, seed: int = 1) -> Image.Image:
    """Noise over a gradient: compresses as badly as a photo, and is the same every time."""
    rng = random.Random(seed)
    coarse = (size[0] // 3, size[1] // 3)
    rough = Image.frombytes("RGB", coarse, rng.randbytes(coarse[0] * coarse[1] * 3))
    smooth = Image.linear_gradient("L").resize(size).convert("RGB")
    image = Image.blend(rough.resize(size, Image.Resampling.BICUBIC), smooth, 0.4).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(size))
    return image


def exif_block() -> bytes:
    """EXIF with camera, time, place and texts."""
    data = Image.Exif()
    data.update({0x010E: SECRET, 0x010F: "Maker", 0x0110: "Maker One", 0x0112: 6, 0x8298: SECRET})
    data.get_ifd(0x8769).update({0x9003: "2024:01:31 14:22:33", 0x9011: "+01:00", 0x9286: SECRET})
    place = {1: "N", 2: (52.0, 31.0, 12.5), 3: "E", 4: (13.0, 24.0, 18.0)}
    data.get_ifd(0x8825).update(place)
    return data.tobytes()


def _everything() -> dict[str, bytes]:
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode()
    return {"exif": exif_block(), "icc_profile": p3_profile(SECRET), "xmp": xmp}


def _jpegs() -> Iterator[tuple[str, bytes]]:
    told = _everything()
    yield "jpg/baseline", encoded(picture(), "JPEG", comment=SECRET, **told)
    yield "jpg/progressive", encoded(picture(), "JPEG", progressive=True, **told)
    yield "jpg/gray", encoded(picture("L"), "JPEG", exif=told["exif"])
    yield "jpg/cmyk", encoded(picture("CMYK"), "JPEG", exif=told["exif"])
    yield "jpg/restarts", encoded(picture(), "JPEG", subsampling=0, restart_marker_blocks=2)
    other = picture(seed=2)
    yield "mpo/two", encoded(picture(), "MPO", save_all=True, append_images=[other], **told)


def _pngs() -> Iterator[tuple[str, bytes]]:
    told = _everything() | {"pnginfo": PngImagePlugin.PngInfo()}
    told.pop("xmp")
    told["pnginfo"].add_text("Comment", SECRET)
    told["pnginfo"].add_itxt("XML:com.adobe.xmp", SECRET, zip=True)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        image = picture("L").convert("I").convert("I;16") if mode == "I;16" else picture(mode)
        yield f"png/{mode.replace(';', '')}", encoded(image, "PNG", **told)
    yield "png/palette-alpha", encoded(picture("P"), "PNG", transparency=bytes(range(200)))
    yield "png/interlaced", _interlaced(picture())
    frames = [picture(seed=n) for n in (2, 3)]
    yield "apng/three", encoded(picture(), "PNG", save_all=True, append_images=frames, **told)


def _interlaced(image: Image.Image) -> bytes:
    """Adam7, which Pillow reads and does not write."""
    rows = b""
    for x0, y0, dx, dy in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
        (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        for y in range(y0, image.height, dy):
            row = b"".join(bytes(image.getpixel((x, y))) for x in range(x0, image.width, dx))
            rows += b"\0" + row if row else b""
    return png(image.size, rows, interlaced=True)


def _heifs() -> Iterator[tuple[str, bytes]]:
    told = _everything()
    yield "heic/single", encoded(picture(), "HEIF", **told)
    yield "heic/alpha", encoded(picture("RGBA"), "HEIF", **told)
    yield "heic/grid", heic_grid(encoded(picture(size=(64, 64)), "HEIF", quality=60), 64)
    several = pillow_heif.from_pillow(picture())
    several.add_from_pillow(picture(seed=2))
    buffer = io.BytesIO()
    several.save(buffer, save_all=True)
    yield "heif/two", buffer.getvalue()
    yield "avif/single", encoded(picture(), "AVIF", speed=10, **told)
    yield "avif/alpha", encoded(picture("RGBA"), "AVIF", speed=10, **told)


def _webps() -> Iterator[tuple[str, bytes]]:
    told = _everything()
    yield "webp/lossy", encoded(picture(), "WEBP", **told)
    yield "webp/lossless", encoded(picture(), "WEBP", lossless=True, **told)
    yield "webp/alpha", encoded(picture("RGBA"), "WEBP", **told)
    frames = [picture(seed=n) for n in (2, 3)]
    yield "webp/animated", encoded(picture(), "WEBP", save_all=True, append_images=frames, **told)


def _tiffs() -> Iterator[tuple[str, bytes]]:
    told: dict[str, object] = {"icc_profile": p3_profile(SECRET), "description": SECRET}
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"tif/{name}", encoded(picture(), "TIFF", compression=name, **told)
    yield "tif/strips", encoded(picture(), "TIFF", compression="tiff_lzw", strip_size=1024, **told)
    tiled = {"tiffinfo": {322: 32, 323: 32}, "compression": "tiff_adobe_deflate"}
    yield "tif/tiles", encoded(picture(), "TIFF", **tiled)
    yield "tif/fax", encoded(picture("1"), "TIFF", compression="group4")
    yield "tif/16-bit", encoded(picture("L").convert("I").convert("I;16"), "TIFF")
    yield "tif/cmyk", encoded(picture("CMYK"), "TIFF", compression="tiff_lzw")
    pages = [picture(seed=n) for n in (2, 3)]
    yield "tiff/pages", encoded(picture(), "TIFF", save_all=True, append_images=pages, **told)


def _others() -> Iterator[tuple[str, bytes]]:
    frames = [picture("P", seed=n) for n in (2, 3)]
    yield "gif/still", encoded(picture("P"), "GIF", comment=SECRET)
    yield "gif/animated", encoded(picture("P"), "GIF", save_all=True, append_images=frames)
    yield "bmp/rgb", encoded(picture(), "BMP")
    yield "bmp/palette", encoded(picture("P"), "BMP")
    yield "dng/preview", dng(picture(size=(96, 64)), side=64)
    yield "dng/sensor", dng(None, side=64)

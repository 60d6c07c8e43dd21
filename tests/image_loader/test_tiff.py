"""A TIFF comes out right or is called unsupported: never wrong, nor damaged if it is whole."""

import itertools

import numpy as np
import pytest
import tifffile

from picture_captioner.errors import CorruptImageError, UnknownFormatError
from picture_captioner.image_loader.loading import examine_image, load_image, read_header

HEIGHT, WIDTH = 48, 64
_ROWS, _COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
GRAY = _COLUMNS / (WIDTH - 1)
RGB = np.stack([GRAY, _ROWS / (HEIGHT - 1), 1 - GRAY], -1)
WHITE = {"u1": 255, "u2": 65535, "u4": 2**32 - 1, "i1": 127, "i2": 32767, "i4": 2**31 - 1}

KINDS = [
    (order, big, sample, colours, *packing)
    for order, big, sample, colours, packing in itertools.product(
        "<>",
        (False, True),
        ("u1", "u2", "u4", "f2", "f4", "f8", "i1", "i2", "i4"),
        ("minisblack", "rgb"),
        ((None, None), ("zlib", None), ("zlib", 2)),
    )
    if not (packing[1] and sample[0] == "f")
]


def verdict(path, expected, tolerance=4):
    """ "right", or "unsupported"; anything else is a failure."""
    try:
        pixels = np.asarray(load_image(path, WIDTH).image).astype(int)
    except UnknownFormatError as error:
        assert "unsupported kind of TIFF" in str(error)
        return "unsupported"
    shown = expected if expected.ndim == 3 else np.repeat(expected[:, :, None], 3, 2)
    assert np.abs(pixels - shown * 255).mean() < tolerance
    return "right"


@pytest.mark.parametrize("big", [False, True], ids=["tiff", "bigtiff"])
@pytest.mark.parametrize("order", "<>", ids=["little", "big"])
def test_every_kind_of_number_is_right_or_unsupported(tmp_path, order, big):
    wanted = {"u1": "right", "u2": "right"} if not (big and order == ">") else {}
    for kind in KINDS:
        if kind[:2] != (order, big):
            continue
        _, _, sample, colours, compression, predictor = kind
        values = GRAY if colours == "minisblack" else RGB
        path = tmp_path / "photo.tif"
        tifffile.imwrite(
            path,
            (values * WHITE.get(sample, 1)).astype(sample),
            photometric=colours,
            byteorder=order,
            bigtiff=big,
            compression=compression,
            predictor=predictor,
        )
        # 16 signed bits state no white: they come out half as bright, which is no wrong picture.
        dim = 70 if sample == "i2" else 4
        found = verdict(path, values, dim)
        assert found == wanted.get(sample, found), kind


def test_16_bits_in_planes_and_32_unsigned_ones_are_unsupported(tmp_path):
    path = tmp_path / "photo.tif"
    planes = np.moveaxis((RGB * 65535).astype("u2"), -1, 0).copy()
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(UnknownFormatError, match=r"3 x 16 bits, unsigned, in planes"):
        load_image(path, WIDTH)
    tifffile.imwrite(path, (GRAY * (2**32 - 1)).astype("u4"), photometric="minisblack")
    with pytest.raises(UnknownFormatError, match="1 x 32 bits, unsigned, little-endian TIFF"):
        load_image(path, WIDTH)
    planes = np.moveaxis((RGB * 255).astype("u1"), -1, 0).copy()
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    assert verdict(path, RGB) == "right"


def test_white_as_zero_is_right_in_8_bits_and_unsupported_in_16(tmp_path):
    path = tmp_path / "white.tif"
    tifffile.imwrite(path, (255 - GRAY * 255).astype("u1"), photometric="miniswhite")
    assert verdict(path, GRAY) == "right"
    tifffile.imwrite(path, (65_535 - GRAY * 65_535).astype("u2"), photometric="miniswhite")
    assert verdict(path, GRAY) == "unsupported"


@pytest.mark.parametrize("white", [255, 65535], ids=["8 bits in 16", "16 bits"])
def test_a_colour_map_shows_its_colours_in_either_range(tmp_path, white):
    path = tmp_path / "photo.tif"
    colours = np.stack([np.arange(256) * (white // 255)] * 3).astype("u2")
    tifffile.imwrite(path, (GRAY * 255).astype("u1"), photometric="palette", colormap=colours)
    assert verdict(path, GRAY) == "right"


def test_an_unsupported_kind_that_is_cut_is_called_cut(tmp_path):
    path = tmp_path / "photo.tif"
    tifffile.imwrite(path, RGB.astype("f8"), photometric="rgb")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(CorruptImageError, match="ends too early"):
        load_image(path, WIDTH)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("reduced", [0, 1, 2], ids=lambda n: f"{n} reduced copies first")
def test_the_photo_is_shown_and_not_the_reduced_copy_before_it(tmp_path, reduced, compression):
    """Of each page the subfile type says what it is; what is said of the photo is on the first."""
    path = tmp_path / "photo.tif"
    whole = (RGB * 255).astype("u1")
    exif = [(272, "s", 0, "Camera of the first page", True)]
    with tifffile.TiffWriter(path) as pages:
        for number in range(reduced):
            small = np.zeros((HEIGHT // 2, WIDTH // 2, 3), "u1")
            tags = exif if number == 0 else None
            pages.write(small, photometric="rgb", subfiletype=1, extratags=tags)
        if reduced:
            pages.write(np.ones((200, 200), bool), photometric="minisblack", subfiletype=4)
        tags = None if reduced else exif
        pages.write(whole, photometric="rgb", compression=compression, extratags=tags)
    assert verdict(path, RGB) == "right"
    header = read_header(path)
    assert (header.width, header.height) == (WIDTH, HEIGHT)
    traits = examine_image(path, None).traits
    assert traits is not None
    assert traits.metadata.camera == "Camera of the first page"


def test_pages_that_are_all_reduced_copies_show_the_first(tmp_path):
    path = tmp_path / "photo.tif"
    with tifffile.TiffWriter(path) as pages:
        pages.write((RGB * 255).astype("u1"), photometric="rgb", subfiletype=1)
        pages.write(np.zeros((96, 128, 3), "u1"), photometric="rgb", subfiletype=1)
    assert verdict(path, RGB) == "right"

"""The only code that opens a photo: clean pixels, its header's size, or all that is kept of it.

formats.py    which files are photos, and what their first bytes look like
reading.py    the bytes: opened once, read once; a disk's error is no verdict on the photo
decode_errors.py  whatever a decoder raises becomes one of our errors
decoding.py   bytes to a clean image: the smallest useful decode, upright, RGB, no metadata
resizing.py   Lanczos, with vector instructions where they can be had
jpeg.py       a JPEG's pixels, with what the decoder thinks of them
tiff.py       where a TIFF says that its pixels lie
colour.py     any pixel mode and any ICC profile to sRGB on white
truncated.py  files that end too early or have holes: how to tell, what is left of the picture
jxl.py        JPEG XL for Pillow
raw.py        camera RAW through its embedded preview, with the `raw` extra
loading.py    `load_image` and `read_header`
samples.py    small pictures that every decoder must be able to read, wherever it runs
examining.py  `examine_image`: facts, measures, thumbnail and pixels from one decode

Decoders crash, hang and eat memory on bad files, so the program calls them through
pipeline/decoding/decoder.py, in worker processes with one thread each. Called directly they are
right for one thread at a time: Python's warning filters, which keep Pillow quiet, are global.
"""

from picture_captioner.image_loader.decode_errors import room_asked_for
from picture_captioner.image_loader.decoding import fitting
from picture_captioner.image_loader.examining import (
    CLEAN_EDGE,
    CLEAN_QUALITY,
    THUMBNAIL_EDGE,
    ExaminedImage,
    Structure,
    Traits,
    examine_image,
    opened_thumbnail,
    perceptual_hash,
    reduced,
    structure_of,
)
from picture_captioner.image_loader.formats import (
    PHOTO_EXTENSIONS,
    RAW_EXTENSIONS,
    VIDEO_EXTENSIONS,
)
from picture_captioner.image_loader.loading import (
    ImageHeader,
    LoadedImage,
    load_image,
    open_encoded,
    read_header,
)
from picture_captioner.image_loader.reading import OpenedPhoto, open_descriptor, read_file
from picture_captioner.image_loader.resizing import roomy
from picture_captioner.image_loader.samples import decode_samples, import_all, samples
from picture_captioner.image_loader.tiff import directories as tiff_directories
from picture_captioner.metadata import Metadata

__all__ = [
    "CLEAN_EDGE",
    "CLEAN_QUALITY",
    "PHOTO_EXTENSIONS",
    "RAW_EXTENSIONS",
    "THUMBNAIL_EDGE",
    "VIDEO_EXTENSIONS",
    "ExaminedImage",
    "ImageHeader",
    "LoadedImage",
    "Metadata",
    "OpenedPhoto",
    "Structure",
    "Traits",
    "decode_samples",
    "examine_image",
    "fitting",
    "import_all",
    "load_image",
    "open_descriptor",
    "open_encoded",
    "opened_thumbnail",
    "perceptual_hash",
    "read_file",
    "read_header",
    "reduced",
    "room_asked_for",
    "roomy",
    "samples",
    "structure_of",
    "tiff_directories",
]

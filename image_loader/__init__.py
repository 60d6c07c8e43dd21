"""The only code that opens a photo: clean pixels, or the size that its header states.

formats.py    which files are photos, and what their first bytes look like
reading.py    the bytes: opened once, read once; a disk's error is no verdict on the photo
verdicts.py   whatever a decoder raises becomes one of our errors
decoding.py   bytes to a clean image: the smallest useful decode, upright, RGB, no metadata
colour.py     any pixel mode and any ICC profile to sRGB on white
raw.py        camera RAW through its embedded preview, with the `raw` extra
loading.py    the two entry points, `load_image` and `read_header`

Decoders crash, hang and eat memory on bad files, so the program calls both through
pipeline/isolation.py, in worker processes with one thread each. Called directly they are right
for one thread at a time: Python's warning filters, which keep Pillow quiet, are global.
"""

from image_loader.decoding import fitting
from image_loader.formats import PHOTO_EXTENSIONS, RAW_EXTENSIONS, VIDEO_EXTENSIONS
from image_loader.loading import ImageHeader, LoadedImage, load_image, read_header

__all__ = [
    "PHOTO_EXTENSIONS",
    "RAW_EXTENSIONS",
    "VIDEO_EXTENSIONS",
    "ImageHeader",
    "LoadedImage",
    "fitting",
    "load_image",
    "read_header",
]

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
images.py     what is known of a photo once it was read: structs, measures, thumbnails
loading.py    `load_image`, `read_header`, and `examine_image`: facts, measures and pixels at once
samples.py    small pictures that every decoder must be able to read, wherever it runs

Decoders crash, hang and eat memory on bad files, so the program calls them through
pipeline/decoding/decoder.py, in worker processes with one thread each. Called directly they are
right for one thread at a time: Python's warning filters, which keep Pillow quiet, are global.
"""

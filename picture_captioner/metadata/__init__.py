"""Facts from what is written in a photo: parses bytes that it is handed, opens nothing.

claims.py      `Metadata`, the merged view: each value with where it is from; which time wins
exif.py        EXIF, by Pillow: when, with what, how, where, and all of it as data; where RAW
               files keep it
xmp.py         XMP packets
iptc.py        IPTC blocks
times.py       times as cameras and editors write them, in files and in their names
boxes.py       the one walk through ISO base media files (HEIC, AVIF, CR3, JPEG XL)
told.py        what people and other programs say in words; faces with names
beside.py      the files beside a folder's photos: which is about which, and what they say together
takeout.py     Google Takeout's JSON, and which is about which photo
osxphotos.py   what osxphotos writes of Apple's library
xmp_packet.py  XMP packets, to be changed without losing anything

A further source is one reader more that returns `Metadata`, and a name in the call of `merged`.
"""

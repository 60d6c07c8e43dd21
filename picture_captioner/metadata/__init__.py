"""Facts from what is written in and beside a photo: parses bytes that it is handed, opens nothing.

boxes.py   the one walk through ISO base media files (HEIC, AVIF, CR3, JPEG XL)
"""

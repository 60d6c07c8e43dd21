"""A library with something in it."""

import numpy as np

from picture_captioner.library import PhotoFacts


def fill(db, number=3):
    """Photos `0.jpg`, `1.jpg`, ... whose content is their number in hexadecimal."""
    with db.transaction():
        for i in range(number):
            sha = f"{i:064x}"
            facts = PhotoFacts(content_sha256=sha, width=i + 1, height=1)
            db.save_facts(f"{i}.jpg", i, i, facts)
            db.save_thumbnail(sha, b"webp")
            db.save_vectors("m:1", [sha], np.full((1, 4), 0.5, np.float32))

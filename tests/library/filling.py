"""A library with something in it."""

from itertools import islice

import numpy as np

from picture_captioner.library import captions, vectors
from picture_captioner.library.facts import PhotoFacts

STAGES = (("normalize", "1"), ("metadata", "1"), ("embed", "m:1"))


def fill(db, number=3, *, ledger=True):
    """Photos `0.jpg`, `1.jpg`, ... whose content is their number in hexadecimal."""
    with db.transaction():
        for i in range(number):
            sha = f"{i:064x}"
            facts = PhotoFacts(content_sha256=sha, width=i + 1, height=1)
            db.facts.save(f"{i}.jpg", i, i, facts)
            db.save_thumbnail(sha, b"webp")
            for stage, version in STAGES if ledger else ():
                db.ledger.note(sha, stage, version)
            db.save_vectors("m:1", [sha], np.full((1, 4), 0.5, np.float32))


def nearest(library, identity, query, limit):
    """The keys nearest to a vector, with their cosines, best first."""
    with library.database.reading() as connection:
        return list(islice(vectors.nearest(connection, identity, query), limit))


def caption_of(library, rel_path):
    """What the journal, as far as it was followed, says of one photo."""
    with library.database.reading() as connection:
        return captions.caption_of(connection, rel_path)

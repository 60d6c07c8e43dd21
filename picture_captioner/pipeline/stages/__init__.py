"""What is computed of each photo, once, and kept in library.db: a small class for each stage.

    base.py      `Stage`: what it needs, its version, how it batches, what it stores; the table
    facts.py     normalize (size, sharpness, hash, thumbnail) and metadata (EXIF)
    embed.py     a vector of the picture
    faces.py     the faces in it, and people by their bodies
    text.py      what is written in it

docs/architecture.md says how to add one. The flow that feeds them is in `../library_update/`.
"""

"""What is computed of each photo, once, and kept in library.db: a small class for each stage.

    base.py      `Stage`: what it needs, its version, how it batches, what it stores
    registry.py  the table of stages
    facts.py     normalize (size, sharpness, hash, thumbnail) and metadata (EXIF)
    embed.py     a vector of the picture

docs/architecture.md says how to add one. The flow that feeds them is in `../library_update/`.
"""

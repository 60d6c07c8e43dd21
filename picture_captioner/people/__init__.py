"""Faces: found, turned into vectors, grouped into persons; a human's word outlives every run."""

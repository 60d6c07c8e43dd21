"""The flow that fills library.db: what its stages bring of each photo, computed once.

processing.py  the flow of one pass
on_the_way.py  what a caption run finds out of the photos that it decodes
beside.py      what other programs wrote beside the photos
kept_images.py a photo by its clean image and thumbnail
storing.py     decoders examine; batches go through the stages, then into library.db
"""

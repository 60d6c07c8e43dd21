"""The flow that fills library.db: what its stages bring of each photo, computed once.

processing.py  the flow of one pass
examining.py   the decoders' side: facts, pixels or a reason
on_the_way.py  what a caption run finds out of the photos that it decodes
storing.py     batches through the stages, then into library.db
"""

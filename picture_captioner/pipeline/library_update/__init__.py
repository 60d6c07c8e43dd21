"""The flow that fills library.db: what its stages bring of each photo, computed once.

processing.py  the flow of one pass
examining.py   the decoders' side: facts, pixels or a reason
storing.py     batches through the stages, then into library.db
"""

"""What is known besides captions: each photo is examined once.

embedding.py       facts, thumbnail and vector of every photo
examining.py       from a pending photo to facts and pixels
storing.py         batches to the embedder, then into library.db
"""

"""Faces: found, turned into vectors, grouped into persons; a human's word outlives every run.

From a picture to vectors, in a process of its own
    face_host.py   detector and recogniser in that process
    yunet.py       finds faces; faces.py says what one is
    align.py       turns a face upright and cuts it out
    sface.py       turns it into a vector
    attributes.py  guesses age and gender
    dfine.py       finds people by their bodies; bodies.py says whose body a face has
    unpacking.py   weights in 8 bits

From vectors to persons
    neighbours.py  the nearest vectors of each
    clustering.py  faces into clusters
    decisions.py   what a human said, and what follows from it
    grouping.py    clusters and decisions into persons
    joining.py     persons whose faces are alike are one
    persons.py     what is known of persons then
"""

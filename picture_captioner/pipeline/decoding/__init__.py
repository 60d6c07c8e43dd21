"""From a pending photo to clean pixels, a copy or a verdict.

decode_ahead.py    the decoders' side of a run, a bounded window ahead of the backend
opening.py         photos opened for decoders, room for them, a disk that went away
decoder.py         one decoder process behind one pipe: a bad file costs one photo
decoder_process.py the parent's handle on it: start, talk against a clock, end
decoder_worker.py  what runs in it, and nowhere else
messages.py        what both say to each other
decoder_server.py  the fork server that starts it
"""

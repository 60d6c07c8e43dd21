"""How photos flow from the disk through a backend into the journal.

selecting/       which photos: walk, patterns, lists, order, and what the journal says of them
decoding/        from a pending photo to clean pixels, in processes that a bad file may kill
asking/          one backend after the other: retries, limits, ceilings, asking again
recording/       from an answer or a verdict to a record on the disk, and the counts
library_update/  what is known besides captions: facts, thumbnails and vectors into library.db
runner.py        a run: decoders and backend threads around one work queue
work_queue.py    hands photos out until every one is settled; the buffer before the backend
dedup.py         identical content is captioned, or examined, once
threads.py       the threads of a run, and ending it early
forecast.py      what a run would be: sizes and speed, tokens and cost
"""

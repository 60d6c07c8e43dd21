"""How photos flow from the disk through a backend into the journal.

Which photos
    walk.py            find the photos below a directory
    path_filter.py     --include and --exclude
    file_list.py       --files-from
    order.py           --order and --shard
    selection.py       which of them this run takes, and which captions can be had without asking
    estimate.py        what a run would be: sizes and speed
    forecast.py        what a run would be: tokens and cost

The flow
    runner.py          decoders and backend threads around one feed
    crew.py            the threads of a run, and how they end
    feed.py            hands photos out until every one is settled
    decoding.py        from a pending photo to clean pixels, a copy or a verdict
    isolation.py       one decoder process behind one pipe
    decoder_process.py   the parent's handle on it
    decoder_worker.py    what runs in it
    disk_watch.py      a photo that cannot be read, or a disk that went away
    content.py         identical content is captioned once
    deaths.py          photos with which the whole process died: suspect, or guilty
    trials.py          notes what the backend has; a suspect gets it alone
    buffer.py          between the decoders and the backend
    captioning.py      ask one backend after the other, record what came of it
    chain.py           who is asked next (--fallback)
    hints.py           tags told to the model (--hints)
    judge.py           turns an answer or a verdict into a record
    repair.py          asks again where an answer was no caption
    recorder.py        writes what became of a photo, then counts it
    tally.py           the counts, and the reporter that is told
    stopping.py        ending a run early

What is known besides captions
    embedding.py       facts, thumbnail and vector of every photo, each computed once
    examining.py       from a pending photo to facts and pixels
    keeping.py         batches to the embedder, then into the library
    sharing.py         identical photos are examined once

Asking a service
    service.py         one backend: ask, judge, price
    pace.py            when requests start: how many at a time, how fast, or not at all
    rate.py            how many per second a service takes
    retrying.py        the one layer that retries
    health.py          whether it is the photo or the service that fails
    budget.py          ceilings on cost and requests
    runaway.py         a photo that bills five times what it should
    prices.py          what an answer costs
"""

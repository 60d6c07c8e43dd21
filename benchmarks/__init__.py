"""What the parts cost, beside a named peer or a floor that is measured in the same run.

    python -m benchmarks.run              all of them, into docs/performance.md
    python -m benchmarks.NAME [--quick]   one of them

Each script draws its own data from a seed, checks that its contenders agree, prints a table and
ends with one JSON line (`finding.py`): what was aimed at, what was reached, what limits it.

    decode_jpeg.py      a 12-megapixel JPEG to a clean image
    decode_pool.py      the same in isolated processes
    decode_heic.py      a 12-megapixel HEIC
    dry_run.py          400 photos end to end
    starting.py         a million files and records before the first photo
    journal_writes.py   records that are safe on the disk
    orchestration.py    a run over tiny photos with a backend that answers at once
    growth.py           a thousand to a million photos
    api_fanout.py       captions through a provider, by workers
    rate_limited.py     how much of a quota is used, and how often exceeded
    local_gpu.py        a model in this process, beside the plain loop
    on_gpu.sh, gpu/     whatever only a graphics card can show, in eight minutes
    library_store.py    vectors into library.db and out again
    report_clusters.py  44,000 vectors into clusters, and the memory it takes
    start_up.py         --help and stats before they do anything
"""

"""What the parts cost, beside a named peer or a floor that is measured in the same run.

Each script draws its own data, prints a table and ends with one JSON line:

    python -m benchmarks.api_fanout       captions per second through a provider, by workers
    python -m benchmarks.rate_limited     how much of a quota is used, and how often exceeded
    python -m benchmarks.local_gpu        a model in this process, beside the plain loop
    python -m benchmarks.decode_jpeg      a 12-megapixel JPEG to a clean image, beside Pillow
    python -m benchmarks.decode_pool      the same in isolated processes, beside one thread
    python -m benchmarks.decode_heic      a 12-megapixel HEIC, beside pillow-heif
    python -m benchmarks.dry_run          400 photos end to end, beside the plain loop
    python -m benchmarks.start_up         --help and stats, beside python -c pass
    python -m benchmarks.report_clusters  44,000 vectors into clusters, and the memory it takes
"""

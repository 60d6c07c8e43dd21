"""Providers' half-price jobs: many photos are sent at once, and answered within a day.

    ledger.py      captions.jobs.jsonl: what was promised to whom, on the disk before it is sent
    parts.py       the body of one job, in a file without a name
    submitting.py  from pending photos to jobs
    following.py   what became of a job, and of one whose creation nobody confirmed
    collecting.py  from answers to records
    service.py     what a provider's batch API is; the table of those there are
    openai_files.py, xai.py, anthropic.py, gemini.py, bedrock.py  the providers

A photo is paid for once: a request that creates a job is never repeated (but with a token that
makes no second one, at Bedrock), and what it may have created is looked for before its photos are
sent again. docs/batch.md is for who uses it.
"""

"""Asking the backends of a run.

captioning.py      ask one backend after the other (--fallback), record what came of it
service.py         one backend: ask, judge, price
hosts.py           several servers of one kind behind one backend
retry.py           the one layer that retries
reask.py           asks again where an answer was no caption
concurrency.py     when requests start: how many at a time, how fast, or not at all
circuit_breaker.py whether it is the photo or the service that fails, or the model sees nothing
spending.py        ceilings on cost and requests; a photo that bills far too much
prices.py          what an answer costs
"""

"""How photos flow from the disk through a backend into the journal.

walk.py        find the photos
selection.py   which of them this run takes
feed.py        hand them out, one by one, until every one is settled
isolation.py   decode in worker processes that may crash
content.py     caption identical content once
pace.py        how many requests at a time
health.py      is it the photo or the service that fails?
judge.py       turn an answer or a verdict into a record
runner.py      the flow itself
tally.py       what became of the photos; the reporter that is told
estimate.py    what a run would be
"""

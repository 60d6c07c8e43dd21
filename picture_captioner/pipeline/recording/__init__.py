"""From an answer or a verdict to a record on the disk.

answers.py         judges an answer: a caption, or the reason why not
records.py         the journal records of a caption, a failure, a verdict and a copy
recorder.py        writes what became of a photo, then counts it
outcomes.py        the counts, and the reporter that is told
"""

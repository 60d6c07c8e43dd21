"""From an answer or a verdict to a record on the disk.

answers.py         judges an answer: a caption, or the reason why not
recorder.py        makes the record of what became of a photo, writes it, then counts it
outcomes.py        the counts, and the reporter that is told
"""

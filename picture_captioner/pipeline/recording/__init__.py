"""From an answer or a verdict to a record on the disk.

answers.py         judges an answer: a caption, or the reason why not
packaging.py       takes off what models wrap a caption in
forms.py           what is no caption by its form: a page, data, code
refusals.py        what is none by its words: a refusal, an error
blank.py           photos of which "nothing to be seen" is the caption
invention.py       names that nobody told the model; known_names.py has lists of names and words
recorder.py        makes the record of what became of a photo, writes it, then counts it
outcomes.py        the counts, and the reporter that is told
"""

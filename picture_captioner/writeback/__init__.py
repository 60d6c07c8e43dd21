"""Our words into sidecars that other programs read; nothing of theirs is lost, all can be undone.

words.py     what is to be written of a photo: from its record, its tags and its people
sidecars.py  where a sidecar lies, and our words merged into what it holds
regions.py   named faces as areas of the stored picture
undo.py      captions.undo.jsonl: what every write changed, and how it is taken back
"""

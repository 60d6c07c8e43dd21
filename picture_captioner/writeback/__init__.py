"""Our words into sidecars and photos; nothing of anybody else's is lost, all can be undone.

words.py       what is to be written of a photo: from its record, its tags and its people
sidecars.py    where a sidecar lies, and our words merged into what it holds
regions.py     named faces as areas of the stored picture
embedded.py    a photo's new bytes, proven to be the same picture, in the place of the old ones
containers.py  a photo's file taken apart
exiftool.py    the program that writes into photos, kept open
patch.py       how to get the old bytes from the new ones
our_words.py   which words in photos and sidecars are ours
undo.py        captions.undo.jsonl: what every write changed
edits.py       what a human changed in a spreadsheet, as records
export.py      a line for each photo, for other programs
taking_back.py how it is taken back, wherever the files lie by now
"""

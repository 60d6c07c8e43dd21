"""People: from faces in library.db and decisions in people.jsonl to persons.

people_file.py  `PeopleFile`: what a human decided
regrouping.py   clusters, made anew or added to; whose each face is
names_elsewhere.py  faces that other programs named
rewritten.py    photos whose bytes another program changed
overview.py     persons with their photos, as commands, search and report show them
questions.py    what a human should decide
crops.py        pictures of single faces
upkeep.py       what `maintain` does
"""

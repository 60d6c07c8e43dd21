"""What a photo shows and holds, besides its caption.

taxonomy.py   what to look for: categories of terms
nouns.py      nouns for what can be seen, each with the next more general one
zero_shot.py  how sure a model is that a photo shows a term
text.py       text in the picture
"""

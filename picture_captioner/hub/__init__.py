"""The models of every room: what they are, where they lie, and how one gets here.

Backends, embedders and stages ask here and nowhere else. Nothing is downloaded because it is
missing: whoever needs a model raises `ModelMissingError`, whose message is the command, and only
that command or a person's yes downloads it.

    catalogue.py     the models that this program names: files, checksums, size, licence
    files.py         files by URL, verified by SHA-256, gone on from where they were cut
    repositories.py  models of the Hugging Face hub: a folder, its cache, a download
"""

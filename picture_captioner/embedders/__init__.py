"""Who turns photos or texts into vectors, for clustering and search.

    base.py        what an embedder is
    registry.py    which there are
    choice.py      which one `auto` takes, and why

The embedders
    pixels.py      colour, texture and layout, measured; needs no model
    caption.py     what the captions say
    onnx.py        an image encoder in ONNX Runtime
    clip.py        CLIP: images and texts in one space
    siglip2.py     SigLIP 2: likewise, and better at both

What they share
    vectors.py     rows of unit length
    models.py      a model's files: a folder, the hub's cache, or a download that was asked for
    tokenizing.py  texts as a tokenizer can take them
    towers.py      image and text towers that run in transformers
    minilm.py      where the sentence encoder is
    bert.py        a BERT encoder on numpy
    onnx_encoder.py   one ONNX graph, with a limit on its time, and images as it was trained on them
"""

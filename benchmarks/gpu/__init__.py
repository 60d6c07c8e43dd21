"""What only a graphics card can show; `benchmarks/on_gpu.sh` runs it.

__main__.py  runs the checks one after the other, each in a process of its own, against a clock
check.py     what a check is given, what it says, and the table of all of them
models.py    models of the true shapes with weights at random, and photos
card.py      driver, kernels, bitsandbytes, 4-bit layers
loading.py   a model loaded: memory against the sum, tokens a second, the plain loop
runs.py      `caption.py run`: its rate; killed, hung, squeezed
memory.py    part 2: running out of memory, and what is reserved over 500 batches
answers.py   part 2: batches of one length, single photos, 16 bit against 32, windows, embedders
hog.py       another program that fills the card
"""

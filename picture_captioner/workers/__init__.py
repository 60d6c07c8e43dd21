"""The one host of child processes: what may crash, hang or lose its device runs in one of them.

    messages.py    what parent and child say to each other, and how it is framed
    child.py       the program that a child runs: `python -m picture_captioner.workers.child`
    starting.py    starts a child, with its pipes and what it gets of the environment, in a thread
                   that never ends; how one ended, in words
    process.py     the parent's handle on one child: start, ask, clock, death
    supervisor.py  replaces a child that died, and finds out which item it died of
    device_errors.py  what torch's exceptions say about the device
    onnx_graph.py  one ONNX graph on the best device, with a limit on its time
    sandbox.py     what a process may do, as the kernel enforces it

A child that loads a model is a program of its own and no fork: the parent has threads. Decoders,
which are many and small, come from a fork server instead (pipeline/decoding).
"""

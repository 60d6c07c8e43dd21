"""The one host of child processes: what they may do, and later their start, clock and death.

onnx_graph.py   one ONNX graph on the best device, with a limit on its time
sandbox.py      what a decoder, and a model, may not do
"""

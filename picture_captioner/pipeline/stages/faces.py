"""The stages that find the faces in a photo, and people by their bodies, in another process."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picture_captioner.errors import (
    ConfigurationError,
    ModelError,
    ModelMissingError,
    PhotoError,
)
from picture_captioner.hub.catalogue import is_published, known_model, model_files
from picture_captioner.library.faces import StoredBody, StoredFace
from picture_captioner.library.store import Library
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


class _InAChild(Stage):
    """What both have in common: photos go to the models' process as pixels."""

    edge = 1024
    batch_size = 8
    _models: Supervisor

    def start(self, host: str, arguments: dict[str, Any]) -> None:
        """Let a process load the models.

        Raises:
            FatalError: they do not load.
        """
        self._models = Supervisor(Open(host, arguments, threads=1), self.settings.notice)
        try:
            self._models.start()
        except BaseException:  # Ctrl+C while they load
            self._models.kill()
            raise

    def work(self, photos: Sequence[StagePhoto]) -> list[list[Any] | PhotoError]:
        """What is on each photo in pixels of the full-size one, the surest first."""
        answers = iter(self._asked([photo for photo in photos if _is_shown(photo)]))
        return [next(answers) if _is_shown(photo) else [] for photo in photos]

    def _asked(self, photos: Sequence[StagePhoto]) -> list[list[Any] | PhotoError]:
        if not photos:
            return []
        items = [_packed(photo) for photo in photos]
        answers = self._models.ask(self.name, items, {}, len(items))
        return [self._answer(*pair) for pair in zip(photos, answers, strict=True)]

    def _answer(self, photo: StagePhoto, answer: Any) -> list[Any] | PhotoError:
        match answer:
            case Blamed(code=code, message=message):
                return ModelError(message, code=code)
            case Exception():
                return ModelError(f"{type(answer).__name__}: {answer}", code="exception")
        assert photo.image is not None  # noqa: S101 - the others were not asked for
        size = (photo.loaded.width, photo.loaded.height)
        return [self.read(one, photo.loaded.width / photo.image.width, size) for one in answer]

    @abstractmethod
    def read(self, packed: Any, factor: float, size: tuple[int, int]) -> Any:
        """One of the child's findings, in a photo of `factor` times the size, inside `size`."""

    def close(self) -> None:
        """End the models' process."""
        self._models.close()


class FacesStage(_InAChild):
    """Boxes, landmarks and vectors of faces; ages and genders if they were asked for."""

    name = "faces"

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
        self.start(HOST, arguments)
        self._detector, self._recogniser, *_ = versions = self._models.state["versions"]
        self.version = "+".join(versions)

    def _detector_file(self) -> tuple[str, str]:
        for name in DETECTORS[:-1]:
            with suppress(ModelMissingError):
                return name, str(model_files(name, self.settings.models_dir)[0])
        return DETECTORS[-1], str(model_files(DETECTORS[-1], self.settings.models_dir)[0])

    def read(self, packed: Any, factor: float, size: tuple[int, int]) -> FoundFace:
        """A face with its landmarks, its vector and what was guessed of it."""
        from picture_captioner.people.face_host import unpacked

        found = unpacked(packed)
        return found._replace(face=_within(found.face.scaled(factor), size))

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


class BodiesStage(_InAChild):
    """Boxes of people, also of those who show no face. What belongs together is found when asked.

    The person names the model's file, for any D-FINE of COCO's classes is read alike.
    """

    name = "bodies"

    def check(self) -> None:
        """Load the model.

        Raises:
            ConfigurationError: none is named, or it is no such model.
        """
        from picture_captioner.people.dfine import HOST

        file = self.settings.bodies
        if file is None or not file.is_file():
            raise ConfigurationError(
                f"--bodies {file or 'FILE'}: name the model's .onnx file; 'docs/people.md' says "
                "where to get it"
            )
        with file.open("rb") as opened:
            self.version = "dfine:" + hashlib.file_digest(opened, "sha256").hexdigest()[:12]
        self.start(HOST, {"file": str(file), "device": self.settings.device})

    def read(self, packed: Any, factor: float, size: tuple[int, int]) -> StoredBody:  # noqa: ARG002
        """A body; it is inside the picture already."""
        x, y, width, height, score = packed
        return StoredBody(Box(x, y, width, height).scaled(factor), score)

    def store(self, library: Library, photo: StagePhoto, result: list[StoredBody]) -> None:
        """Save the bodies."""
        library.faces.save_bodies(photo.content_sha256, result)


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

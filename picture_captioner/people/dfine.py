"""D-FINE finds people by their bodies, also those who show no face (Peng et al., ICLR 2025).

The graph is transformers' `DFineForObjectDetection`: for each of 300 queries it gives a logit for
each of COCO's 80 classes, and a box by its middle and size as shares of the picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from picture_captioner.errors import (
    BackendUnavailableError,
    ConfigurationError,
    DeviceLostError,
)
from picture_captioner.people.faces import Box
from picture_captioner.workers.onnx_graph import OnnxGraph

if TYPE_CHECKING:
    from picture_captioner.workers.child import Child

HOST = f"{__name__}:host_bodies"
"""What a child is to load; its arguments are those of `host_bodies`."""
EDGE = 640
"""The picture is stretched to this square, its pixels are between 0 and 1, RGB."""
PERSON = 0
"""The place of "person" among COCO's 80 classes."""
SCORE = 0.5
SAME = 0.8
"""Two boxes that overlap so much are one body, although D-FINE should give no body twice: people
who ran the public exports report pairs of boxes around one person."""


class Body(NamedTuple):
    """A person in pixels of the picture that was shown."""

    box: Box
    score: float


class DFine:
    """The detector.

    Args:
        path: the .onnx file.

    Raises:
        ConfigurationError: it does not load, or is another model.
    """

    def __init__(self, path: Path, device: str = "cpu") -> None:
        self._graph = OnnxGraph(path, device)
        outputs = self._graph.outputs
        if "pixel_values" not in self._graph.inputs or not {"logits", "pred_boxes"} <= set(outputs):
            raise ConfigurationError(
                f"{path.name} is no D-FINE as transformers exports it: it takes "
                f"{', '.join(self._graph.inputs)} and gives {', '.join(outputs)}"
            )

    def __call__(self, photo: Image.Image) -> list[Body]:
        """The people of an upright RGB photo, the surest first, in its own pixels."""
        shown = photo.resize((EDGE, EDGE), Image.Resampling.BILINEAR)
        pixels = np.asarray(shown, np.float32).transpose(2, 0, 1)[None] / np.float32(255)
        feed = {"pixel_values": np.ascontiguousarray(pixels)}
        [[logits], [boxes]] = self._graph.run(feed, ["logits", "pred_boxes"])
        scores = 1 / (1 + np.exp(-logits[:, PERSON].astype(np.float64)))
        order = np.argsort(-scores, kind="stable")
        kept: list[Body] = []
        for place in order[: int((scores > SCORE).sum())].tolist():
            box = _within(boxes[place].astype(np.float64), photo.size)
            if all(box.overlap(body.box) <= SAME for body in kept):
                kept.append(Body(box, float(scores[place])))
        return [body for body in kept if min(body.box.width, body.box.height) > 0]


def _within(shares: np.ndarray[Any, np.dtype[np.float64]], size: tuple[int, int]) -> Box:
    """A box that is given by its middle and size, in pixels and cut off at the photo's border."""
    x, y, wide, high = (float(share) for share in shares)
    left, right = (min(max(x + part * wide, 0.0), 1.0) * size[0] for part in (-0.5, 0.5))
    upper, lower = (min(max(y + part * high, 0.0), 1.0) * size[1] for part in (-0.5, 0.5))
    return Box(left, upper, right - left, lower - upper)


class BodiesHost:
    """The model that finds bodies, as a child hosts it."""

    def __init__(self, detect: DFine, child: Child) -> None:
        self._detect, self._child = detect, child

    def work(self, kind: str, items: list[Any], shared: dict[str, Any]) -> list[Any]:  # noqa: ARG002
        """The bodies of each photo, as rows of x, y, width, height and score."""
        self._child.on_device()
        try:
            if kind == "plain":
                self._detect(Image.new("RGB", (EDGE, EDGE), "gray"))
                return [None]
            photos = (Image.frombytes("RGB", tuple(i["size"]), i["pixels"]) for i in items)
            return [[[*body.box, body.score] for body in self._detect(p)] for p in photos]
        except BackendUnavailableError as error:  # it failed or hung: the next process may do it
            raise DeviceLostError(str(error)) from error

    def state(self) -> dict[str, Any]:
        """Nothing is to be told."""
        return {}

    def close(self) -> None:
        """Nothing is to be let go of."""


def host_bodies(arguments: dict[str, Any], child: Child) -> BodiesHost:
    """Load the model in the child.

    Raises:
        FatalError: it does not load.
    """
    return BodiesHost(DFine(Path(arguments["file"]), arguments["device"]), child)

"""What a photo is called: its caption, a term of the vocabulary, or nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picture_captioner.errors import Status, count
from picture_captioner.report.geometry import nearest, unit_rows
from picture_captioner.report.model import LabelSource, ReportPhoto

_log = logging.getLogger("caption.report")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Terms (t) and their vectors (t, d), in the space of the photos' vectors."""

    terms: tuple[str, ...]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Labels:
    """A label for each photo, empty if there is nothing to say, and where it comes from."""

    texts: tuple[str, ...]
    sources: tuple[LabelSource, ...]
    errors: int
    redo_failed: int

    def count(self, source: LabelSource) -> int:
        """How many labels come from there."""
        return self.sources.count(source)

    @property
    def summary(self) -> str:
        """`1,190 captioned (3 of them: a later try failed), 42 errors, 8 vocabulary fallbacks`."""
        later = f" ({self.redo_failed:,} of them: a later try failed)" if self.redo_failed else ""
        return (
            f"{self.count(LabelSource.CAPTION):,} captioned{later}, {count(self.errors, 'error')}, "
            f"{count(self.count(LabelSource.VOCABULARY), 'vocabulary fallback')}"
        )


def label_photos(
    photos: Sequence[ReportPhoto],
    vectors: NDArray[np.float32] | None,
    vocabulary: Vocabulary | None,
) -> Labels:
    """Label every photo.

    A caption is the label, also where a later try failed. An error without one gives an empty label
    and a warning in the log. A photo without a caption gets the vocabulary's nearest term, if there
    is a vocabulary and the photo has a vector; nothing is matched when every photo has a caption.
    """
    texts = [photo.own_label for photo in photos]
    sources = [LabelSource.CAPTION if text else LabelSource.NONE for text in texts]
    wanting = []
    for i, photo in enumerate(photos):
        if _is_error(photo):
            _log.warning(
                "no label: %s",
                photo.last_error or photo.status,
                extra={"event": "no_label", "rel_path": photo.rel_path},
            )
        elif not texts[i]:
            wanting.append(i)
    if wanting and vocabulary is not None and vectors is not None:
        for i, term in _matched(wanting, vectors, vocabulary).items():
            texts[i], sources[i] = term, LabelSource.VOCABULARY
    redo_failed = sum(
        bool(text and photo.last_error) for text, photo in zip(texts, photos, strict=True)
    )
    return Labels(tuple(texts), tuple(sources), sum(map(_is_error, photos)), redo_failed)


def _is_error(photo: ReportPhoto) -> bool:
    return photo.status is not None and photo.status is not Status.SUCCESS


def _matched(
    wanting: Sequence[int], vectors: NDArray[np.float32], vocabulary: Vocabulary
) -> dict[int, str]:
    """The nearest term of each of these photos that has a vector."""
    known, rows = unit_rows(vectors[list(wanting)])
    usable, terms = unit_rows(vocabulary.vectors)
    if not len(rows) or not len(terms):
        return {}
    names = [vocabulary.terms[i] for i in np.flatnonzero(usable)]
    index, _ = nearest(rows, terms)
    found = np.asarray(wanting)[known]
    return {int(i): names[k] for i, k in zip(found, index, strict=True)}

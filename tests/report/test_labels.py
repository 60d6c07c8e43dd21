"""Captions, errors and the vocabulary as labels."""

from __future__ import annotations

import numpy as np

from picture_captioner.errors import Status
from picture_captioner.report.labels import Vocabulary, label_photos
from picture_captioner.report.model import LabelSource
from tests.report.support import photo

VOCABULARY = Vocabulary(("beach", "snow"), np.array([[1, 0], [0, 2]], dtype=np.float32))


def test_each_photo_gets_what_there_is(caplog):
    photos = [
        photo("a.jpg", caption=" A dog. "),
        photo("b.jpg", status=Status.ERROR_CORRUPT, last_error="truncated: ends early"),
        photo("c.jpg"),
        photo("d.jpg", caption="  "),
        photo("e.jpg"),
    ]
    vectors = np.array([[1, 0], [1, 0], [0.1, 0.9], [3, 1], [0, 0]], dtype=np.float32)
    found = label_photos(photos, vectors, VOCABULARY)
    assert found.texts == ("A dog.", "", "snow", "beach", "")
    assert found.sources == (
        LabelSource.CAPTION,
        LabelSource.NONE,
        LabelSource.VOCABULARY,
        LabelSource.VOCABULARY,
        LabelSource.NONE,
    )
    assert found.summary == "1 captioned, 1 error, 2 vocabulary fallbacks"
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "truncated" in record.getMessage()
    assert record.rel_path == "b.jpg"


def test_an_error_is_not_given_a_term():
    found = label_photos(
        [photo("a.jpg", status=Status.ERROR_API)], np.ones((1, 2), np.float32), VOCABULARY
    )
    assert found.texts == ("",)


def test_nothing_is_matched_when_every_photo_has_a_caption():
    class Untouchable:
        def __getattr__(self, name):
            raise AssertionError("the vocabulary was looked at")

    photos = [photo("a.jpg", caption="A dog.")]
    found = label_photos(photos, np.ones((1, 2), np.float32), Untouchable())
    assert found.summary == "1 captioned, 0 errors, 0 vocabulary fallbacks"


def test_without_a_vocabulary_a_photo_without_a_caption_has_no_label():
    assert label_photos([photo("a.jpg")], np.ones((1, 2), np.float32), None).texts == ("",)

"""Captions that contradict each other are listed, with their photos."""

import numpy as np

from picture_captioner.report.contradictions import contradictions
from picture_captioner.report.model import DuplicateGroup, Likeness, Report, ReportPhoto


def report_of(*captions):
    photos = tuple(
        ReportPhoto(rel_path=f"{i}.jpg", caption=text) for i, text in enumerate(captions)
    )
    group = DuplicateGroup(0, Likeness.NEAR, np.arange(len(photos)), 0)
    return Report(None, photos, None, (), (), (group,))


def test_four_frames_of_one_bridge_with_two_wrong_names():
    [told] = contradictions(
        report_of(
            "A bridge at night.",
            "The Golden Gate Bridge at night.",
            "The Brooklyn Bridge at night.",
            "A bridge over water.",
        )
    )
    assert "Golden Gate Bridge (1.jpg); Brooklyn Bridge (2.jpg)" in told


def test_one_name_or_none_is_no_contradiction():
    assert contradictions(report_of("The Brooklyn Bridge.", "Lit Brooklyn Bridge at night.")) == []
    assert contradictions(report_of("A bridge.", "A long bridge at night.")) == []

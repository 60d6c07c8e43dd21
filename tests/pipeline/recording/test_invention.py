"""What a caption names that nobody told the model: found, and little else."""

from __future__ import annotations

from pathlib import Path

import pytest

from picture_captioner.pipeline.recording.invention import invented

HERE = Path(__file__).parent


def captions(name):
    for line in (HERE / name).read_text("utf-8").splitlines():
        if not line.startswith("#"):
            text, told, made_up = (part.strip() for part in line.split("|"))
            facts = [fact.strip() for fact in told.split(";") if fact.strip()]
            yield text, facts, [name for name in made_up.split(";") if name.strip()]


@pytest.mark.parametrize(
    ("name", "precision", "recall"),
    [("names_seen.txt", 0.99, 0.95), ("names_unseen.txt", 0.95, 0.9)],
)
def test_precision_and_recall_on_captions_with_and_without_given_names(name, precision, recall):
    cases = list(captions(name))
    assert len(cases) == 100
    found = [(bool(invented(text, told)), bool(made_up)) for text, told, made_up in cases]
    right = found.count((True, True))
    assert right / (right + found.count((True, False))) >= precision
    assert right / (right + found.count((False, True))) >= recall


@pytest.mark.parametrize(
    ("text", "told", "read", "made_up"),
    [
        ('A sign reads "Café Müller".', (), None, []),
        ('A sign reads "Café Müller".', (), ["CAFE MULLER"], []),
        ('A sign reads "Café Müller".', (), ["Bakery"], ["Café Müller"]),
        ("A Coca-Cola can.", (), ["Coca-Cola"], []),
        ("Anna's dog sleeps.", ("Anna Müller",), None, []),
        ("Kids Playing Together On Sandy Beach With Their Dogs", (), None, []),
        ("A Day With Grandma", (), None, []),
        ("Taken 2019-02-25 outside.", ("25 February 2019",), None, []),
        ("Taken 2019-02-26 outside.", ("25 February 2019",), None, ["2019-02-26"]),
        ("She may march in the parade.", (), None, []),
        ("一只狗在海滩上", (), None, []),
        ("", (), None, []),
        ("A" * 20_000, (), None, []),
        ("Aa " * 20_000 + "runs.", (), None, ["x"]),
    ],
)
def test_kinds_of_names(text, told, read, made_up):
    found = invented(text, told, read)
    assert bool(found) == bool(made_up)
    if made_up != ["x"]:
        assert found == made_up

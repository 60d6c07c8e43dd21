"""The taxonomy's file: the package's own, and those that make no sense."""

from __future__ import annotations

import pytest

from picture_captioner.errors import UsageError
from picture_captioner.tags.taxonomy import Taxonomy

GOOD = """
[pets]
choose = "multi"
min_confidence = 0.5
prompts = ["a photo of {}.", "{}"]
terms = { dog = ["a dog", "dogs"], "house cat" = "a cat" }
"""


def test_the_package_has_one_with_every_category():
    taxonomy = Taxonomy.read()
    assert set(taxonomy.categories) == {
        "setting",
        "activity",
        "event",
        "time of day",
        "weather",
        "season",
        "mood",
        "social",
        "objects",
        "emotion",
        "expression",
        "gaze",
    }
    assert set(taxonomy.of("face")) == {"emotion", "expression", "gaze"}  # fmt: skip
    for category in taxonomy.categories.values():
        assert category.min_confidence.sigmoid <= category.min_confidence.softmax
        for term in category.terms:
            assert all("{}" not in sentence for sentence in category.sentences(term))


def test_every_prompt_is_said_of_every_wording(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(GOOD)
    taxonomy = Taxonomy.read(path)
    assert taxonomy.categories["pets"].sentences("dog") == [
        "a photo of a dog.", "a photo of dogs.", "a dog", "dogs",
    ]  # fmt: skip
    path.write_text(GOOD + "\n# more\n")
    assert Taxonomy.read(path).digest != taxonomy.digest


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file"),
        ("", "no category"),
        ("a = ", "no TOML"),
        ("a = 1", "a: "),
        (GOOD.replace("multi", "some"), "pets.choose: input should be 'single' or 'multi'"),
        (GOOD.replace("0.5", "2"), "pets.min_confidence.softmax: .*less than or equal to 1"),
        (GOOD.replace("0.5", "{ softmax = 0.5 }"), "pets.min_confidence.sigmoid: field required"),
        (GOOD.replace('"{}"', '"this"'), "pets.prompts: 'this' has no {} for the term"),
        (GOOD + "kind = 3", "pets.kind: extra inputs are not permitted"),
        (GOOD.replace('"a cat"', "[]"), "pets.terms.house cat: "),
    ],
)
def test_a_file_that_makes_no_sense_says_where(tmp_path, text, told):
    path = tmp_path / "own.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=told):
        Taxonomy.read(path)

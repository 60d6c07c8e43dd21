"""The question put to a model."""

from picture_captioner.backends.base import DEFAULT_PROMPT, BackendSettings
from picture_captioner.backends.prompt import question


def test_the_prompt_alone():
    assert question(BackendSettings(model="m"), ()) == DEFAULT_PROMPT


def test_the_language_is_asked_for():
    asked = question(BackendSettings(model="m", prompt="Describe.", language="German"), ())
    assert asked.startswith("Describe.")
    assert "German" in asked


def test_hints_are_passed_on_as_possibly_wrong_and_on_one_line():
    asked = question(BackendSettings(model="m", prompt="Describe."), ["lake", "Anna\nMaria"])
    assert asked.splitlines()[-1].endswith("which may be wrong: lake, Anna Maria.")

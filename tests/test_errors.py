"""The tree, the exit codes and the words that errors come in."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from picture_captioner import errors
from picture_captioner.errors import (
    MAX_ERROR_MESSAGE,
    CaptionerError,
    ExitCode,
    FatalError,
    ModelError,
    PhotoError,
    PhotoSkipped,
    TransientError,
    UsageError,
    count,
    did_you_mean,
)

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, CaptionerError)
]
FATAL = [kind for kind in KINDS if issubclass(kind, FatalError) and kind is not FatalError]


def test_every_error_is_drawn_in_the_tree_at_its_place():
    parents = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"( {4}[|` -]*)([A-Z]\w+)", line):
            depth, name = (len(found[1]) - 4) // 4, found[2]
            parents[depth:] = [name]
            kind = getattr(errors, name)
            assert depth == 0 or kind.__base__.__name__ == parents[depth - 1], name
    drawn = set(re.findall(r"^ {4}[|` -]*([A-Z]\w+)", errors.__doc__, re.MULTILINE))
    assert drawn == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", FATAL)
def test_a_fatal_error_has_an_exit_code_that_its_drawing_names(kind):
    sharing = {other for other in FATAL if other.exit_code == kind.exit_code} - {kind}
    stored = {"JournalError", "JournalLockedError", "LibraryError", "LibraryLockedError"}
    stored |= {"OutputError", "LibraryNewerError", "ConfigurationError", "ModelMissingError"}
    stored |= {"BackendUnavailableError", "DeviceLostError", "AccessDeniedError"}
    stored |= {"LibraryUnreachableError", "LibraryDeniedError", "LibrarySetupError"}
    assert not sharing or stored >= {other.__name__ for other in {kind, *sharing}}
    assert re.search(rf"{kind.__name__} +{int(kind.exit_code)}$", errors.__doc__, re.MULTILINE)


def test_every_exit_code_is_explained_once():
    document = Path(__file__).parent.parent / "docs" / "exit-codes.md"
    explained = re.findall(r"^\| (\d+) \|", document.read_text("utf-8"), re.MULTILINE)
    assert explained == [str(int(code)) for code in ExitCode]


def test_photo_errors_have_a_status_and_a_short_code():
    for kind in KINDS:
        if issubclass(kind, PhotoError) and kind is not PhotoError:
            assert kind.status in errors.Status
        if issubclass(kind, PhotoError | PhotoSkipped):
            assert re.fullmatch("[a-z_]{3,20}", kind.code)


@given(text=st.text(), times=st.sampled_from([1, 100, 1000]))
@example(text="é", times=MAX_ERROR_MESSAGE + 1)
def test_a_message_for_the_journal_is_cut(text, times):
    text *= times
    for error in (ModelError(text), TransientError(text)):
        assert str(error) == text[:MAX_ERROR_MESSAGE]


def test_a_code_can_be_given_and_does_not_stick_to_the_class():
    assert ModelError("no", code="refused").code == "refused"
    assert ModelError("no").code == "model"
    assert TransientError("no").code == "unavailable"
    assert UsageError("no").exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("MOKC", "; did you mean 'mock'?"),
        ("openai_key", "; did you mean 'OPENAI_API_KEY'?"),
        ("zqxj", ""),
        ("", ""),
    ],
)
def test_did_you_mean(word, advice):
    assert did_you_mean(word, ["mock", "template", "OPENAI_API_KEY"]) == advice


def test_did_you_mean_needs_something_to_choose_from():
    assert did_you_mean("mock", []) == ""


def test_count():
    assert [count(0), count(1), count(1240)] == ["0 photos", "1 photo", "1,240 photos"]
    assert count(2, "error") == "2 errors"

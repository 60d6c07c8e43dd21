"""Structured fields: what is asked, what is put right, and what only the model can mend."""

import contextlib
import json
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.field_values import FIELD_NAMES, clean_tag, cut_at_word
from picture_captioner.backends.fields import FieldsAsked, expand
from picture_captioner.errors import ModelError
from tests.providers.strict_schema import answer_by, complaints

FULL = FieldsAsked(FIELD_NAMES)
GOOD = {"caption": "A dog.", "title": "Dog", "tags": ["dog", "sea", "sand"], "summary": "A dog."}
TEXT = st.text(st.characters() | st.sampled_from(" \t\n#,;-\u2028"), max_size=700)


def asked(*words, max_tags=5):
    return FieldsAsked(expand(words), max_tags)


def fault(fields, values, **how):
    with pytest.raises(ModelError) as caught:
        fields.check(values, **how)
    assert caught.value.code == "validation"
    return str(caught.value)


# -- which -----------------------------------------------------------------------------------


def test_a_caption_is_always_asked_for_and_the_order_is_one():
    assert expand(["tags", "title"]) == ("caption", "title", "tags")
    assert expand(["summary", "full"]) == FIELD_NAMES
    assert expand([]) == ("caption",)


def test_a_plain_caption_keeps_the_hash_that_old_journals_hold():
    assert BackendSettings(model="m").prompt_sha256() == "79a633f2f1fc"
    assert BackendSettings(model="m", max_tags=9).prompt_sha256() == "79a633f2f1fc"


def test_fields_and_their_limits_are_part_of_the_question():
    def hash_of(*words, max_tags=5):
        settings = BackendSettings(model="m", fields=expand(words), max_tags=max_tags)
        return settings.prompt_sha256()

    hashes = [hash_of(), hash_of("title"), hash_of("tags"), hash_of("tags", max_tags=8)]
    assert len({*hashes, hash_of("full")}) == 5
    assert hash_of("tags", "title") == hash_of("title", "tags")
    assert hash_of("title", max_tags=8) == hash_of("title")


# -- how it is asked -------------------------------------------------------------------------


@settings(deadline=None)  # a set of fields that is new makes a new model
@given(st.sets(st.sampled_from(FIELD_NAMES)))
def test_every_strict_mode_takes_the_schema_and_its_answer_is_good(names):
    fields = FieldsAsked(tuple(n for n in FIELD_NAMES if n == "caption" or n in names))
    schema = fields.schema()
    assert list(complaints(schema)) == []
    assert list(schema["properties"]) == list(fields.names)
    answer = fields.read(answer_by(schema))
    assert list(answer) == list(fields.names)


@pytest.mark.parametrize("name", FIELD_NAMES)
def test_the_question_names_every_field_and_no_other(name):
    only = FieldsAsked(("caption", name) if name != "caption" else ("caption",)).instruction()
    named = {other for other in FIELD_NAMES if f'"{other}":' in only}
    assert named == {"caption", name}
    assert ("confidence is" in only) is ('"confidence"' in only)


def test_the_question_gives_the_number_of_tags():
    assert "3 to 5 keywords" in asked("tags").instruction()
    assert "3 to 12 keywords" in asked("tags", max_tags=12).instruction()
    assert '\n"tags": [text, ...] - 2 keywords' in asked("tags", max_tags=2).instruction()


def test_more_fields_get_more_room():
    sizes = [asked(*w).max_tokens for w in ([], ["title"], ["title", "tags"], ["full"])]
    assert sizes[0] == 256
    assert sizes == sorted(set(sizes))
    assert sizes[-1] > 1500
    assert asked("tags", max_tags=40).max_tokens > asked("tags").max_tokens + 500


# -- what is put right -----------------------------------------------------------------------


@given(title=TEXT, limit=st.integers(1, 120))
def test_a_cut_keeps_whole_words_from_the_beginning(title, limit):
    text = " ".join(title.split())
    cut = cut_at_word(text, limit)
    assert len(cut) <= limit
    assert text.startswith(cut)
    assert bool(cut) == bool(text)
    assert cut_at_word(cut, limit) == cut
    if len(text) > limit and " " in text[: limit + 1] and cut.strip(" ,;:-"):
        assert text[len(cut)] in " ,;:-", "it ends where a word ends"


@given(tag=TEXT)
def test_a_tag_is_lower_case_on_one_line_and_stays_as_it_is(tag):
    clean = clean_tag(tag)
    assert clean == clean.lower() == " ".join(clean.split())
    assert not clean.startswith("#")
    assert clean_tag(clean) == clean


@given(
    values=st.fixed_dictionaries(
        {
            "caption": st.text(string.ascii_letters + " \n", min_size=1).filter(str.strip),
            "title": TEXT.filter(str.strip),
            "summary": TEXT.filter(str.strip),
            "tags": st.lists(TEXT, max_size=30),
        }
    ),
    most=st.integers(1, 12),
)
def test_what_passes_keeps_to_every_limit_and_passes_again(values, most):
    fields = asked("title", "tags", "summary", max_tags=most)
    try:
        found = fields.check(values)
    except ModelError as error:
        assert error.code == "validation"
        assert len({clean_tag(t) for t in values["tags"]} - {""}) < min(3, most)
        return
    assert 0 < len(found["title"]) <= 100
    assert 0 < len(found["summary"]) <= 500
    assert min(3, most) <= len(found["tags"]) <= most
    assert len(set(found["tags"])) == len(found["tags"])
    assert fields.check(found) == found


def test_what_was_not_asked_for_is_left_out():
    assert asked("title").check(GOOD | {"price": 7}) == {"caption": "A dog.", "title": "Dog"}


def test_tags_are_put_right():
    tags = ["  Dog", "dog ", "#Beach", "", "Blue  Sky", "sand", "sea", "sun"]
    found = asked("tags").check(GOOD | {"tags": tags})["tags"]
    assert found == ["dog", "beach", "blue sky", "sand", "sea"]


def test_words_of_a_list_are_put_right_and_empty_suppositions_are_unknown():
    values = json.loads(answer_by(FULL.schema()))
    values["season"]["value"] = " Fall"
    values["time_of_day"]["value"] = "EVENING"
    values["mood"]["value"] = " "
    values["text_in_image"]["value"] = ""
    values["objects"]["value"] = ["boat", "boat", " ", *map(str, range(20))]
    values["places"] *= 2
    found = FULL.check(values)
    assert found["season"]["value"] == "autumn"
    assert found["time_of_day"]["value"] == "evening"
    assert found["mood"]["value"] == "unknown"
    assert found["text_in_image"]["value"] == ""
    assert found["objects"]["value"][:2] == ["boat", "0"]
    assert len(found["objects"]["value"]) == 10
    assert len(found["places"]) == 3


# -- what only the model can mend ------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"caption": " \n"}, "caption: is empty"),
        ({"caption": None}, "caption: input should be a valid string"),
        ({"title": ""}, "title: is empty"),
        ({"title": ["Dog"]}, "title: input should be a valid string"),
        ({"tags": {"dog": 1}}, "tags: input should be a valid list"),
        ({"tags": ["dog", 3, "sea"]}, "tags.1: input should be a valid string"),
        ({"tags": ["dog", "Dog ", "#dog"]}, "tags: 1 different, 3 to 5 were asked for"),
        ({"summary": {}}, "summary: input should be a valid string"),
    ],
)
def test_a_fault_that_only_the_model_can_mend_is_named(wrong, told):
    assert fault(asked("title", "tags", "summary"), GOOD | wrong) == told


@pytest.mark.parametrize("missing", GOOD)
def test_a_field_that_is_missing_is_named(missing):
    values = {name: value for name, value in GOOD.items() if name != missing}
    assert fault(asked("title", "tags", "summary"), values) == f"{missing}: field required"


@pytest.mark.parametrize(
    ("field", "part", "wrong"),
    [
        ("scene", "confidence", 1.01),
        ("scene", "confidence", 85),
        ("scene", "confidence", float("nan")),
        ("scene", "confidence", "high"),
        ("quality", "score", -0.1),
        ("people_count", "value", -1),
        ("people_count", "value", 2.5),
        ("people_count", "value", "many"),
        ("season", "value", "Sommer"),
        ("activities", "value", "running"),
    ],
)
def test_numbers_out_of_range_and_words_of_no_list_are_faults(field, part, wrong):
    values = json.loads(answer_by(FULL.schema()))
    values[field][part] = wrong
    told = fault(FULL, values)
    assert told.startswith(f"{field}.{part}: ")
    assert str(wrong) not in told


def test_few_tags_are_enough_once_the_model_was_asked_for_more():
    fields = asked("tags")
    assert fields.check(GOOD | {"tags": ["Fog"]}, asked_before=True)["tags"] == ["fog"]
    assert "0 different" in fault(fields, GOOD | {"tags": []}, asked_before=True)


def test_a_message_names_three_faults_at_most():
    assert fault(FULL, {}).count("field required") == 3


# -- JSON in an answer -----------------------------------------------------------------------

PLAIN = json.dumps({"caption": "A {dog} on a `beach`.", "title": "Dog"})


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN,
        f"\n {PLAIN}\n",
        f"```json\n{PLAIN}\n```",
        f"```\n{PLAIN}```",
        f"Here is the JSON:\n```json\n{PLAIN}\n```\nI hope it helps {{smile}}.",
        f"Sure! {PLAIN} Anything else?",
        f"As {{asked}}: {PLAIN}",
        json.dumps(json.loads(PLAIN), indent=4),
        f"[{PLAIN}]",
        f'<think>{{"caption": "A cat?"}} No.</think>{PLAIN}',
    ],
)
def test_an_object_is_found_whatever_stands_around_it(answer):
    assert asked("title").read(answer)["caption"] == "A {dog} on a `beach`."


@pytest.mark.parametrize(
    "answer", ["A dog.", "", "null", "[1, 2]", '"text"', PLAIN[:-3], "{" * 5000, "[" * 100_000]
)
def test_no_object_is_not_json(answer):
    with pytest.raises(ModelError) as caught:
        asked("title").read(answer)
    assert caught.value.code == "not_json"


@given(TEXT)
def test_no_text_is_more_than_a_verdict(text):
    try:
        found = asked("title", "tags").read("{" + text)
    except ModelError as error:
        assert error.code in {"not_json", "validation"}
    else:
        assert found["caption"]


def test_half_of_an_emoji_is_left_out():
    found = asked("title").read('{"caption": "A dog \\ud83d.", "title": "Dog\\ud83d"}')
    assert found == {"caption": "A dog .", "title": "Dog"}


NEARLY = {"caption": "A dog.", "tags": ["dog", "sea", "sand"]}


@pytest.mark.parametrize(
    "text",
    [
        '{"caption": "A\ndog.", "tags": ["dog", "sea", "sand"]}',
        '{"caption": "A dog.", "tags": ["dog", "sea", "sand",],}',
        "{'caption': 'A dog.', 'tags': ['dog', 'sea', 'sand']}",
        '{caption: "A dog.", tags: ["dog", "sea", "sand"]}',
        '{"caption": "A dog." "tags": ["dog" "sea" "sand"]}',
        '{"photo": {"caption": "A dog.", "tags": ["dog", "sea", "sand"]}}',
        '{"photos": [{"Caption": "A dog.", "Tags": ["dog", "sea", "sand"]}]}',
        '{"Caption": "A dog.", "TAGS": ["dog", "sea", "sand"]}',
        '{"caption": "A dog.", "tags": "dog, sea, sand"}',
        '{"caption": "A dog.", "tags": "#dog #sea #sand"}',
        '```json\n{"caption": "A dog.", "tags": ["dog", "sea", "sand"],}\n```',
        'Sure: {"caption": "A dog.", "tags": ["dog", "sea", "sand"],} Anything else?',
        '{"caption": "A dog.", "tags": ["dog", "sea", "sand"]}<|im_end|>',
        '<|begin_of_box|>{"caption": "A dog.", "tags": ["dog", "sea", "sand"]}<|end_of_box|>',
        '{"caption": "A dog.", /* the best */ "tags": ["dog", "sea", "sand"]}',
    ],
)
def test_json_that_is_nearly_right_is_read(text):
    assert asked("tags").read(text) == NEARLY


def test_quotation_marks_inside_of_a_string_are_kept():
    text = '{"caption": "A sign "OPEN" hangs", "tags": ["a", "b", "c"]}'
    assert asked("tags").read(text)["caption"] == 'A sign "OPEN" hangs'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"caption": "A dog runs on a', "not_json"),
        ('{"caption": "A dog.", "tags": ["dog", "sea", "sa', "not_json"),
        ('{"caption": , "tags": ["dog", "sea", "sand"]}', "validation"),
        ('{"tags": ["dog", "sea", "sand",]}', "validation"),
        ('{"caption": "A dog.",}', "validation"),
        ("a dog { on a beach }", "not_json"),
    ],
)
def test_what_is_missing_is_never_made_up(text, code):
    with pytest.raises(ModelError) as verdict:
        asked("tags").read(text)
    assert verdict.value.code == code


@pytest.mark.parametrize(
    "unit",
    ["{", '{"', '{"a":', "[{", '{"caption": "', "}{", "'", '"', "```{", "{}", ":{\n", "//{}"],
)
def test_a_hostile_answer_is_read_in_no_time(unit):
    started = time.process_time()
    for size in (4_000, 16_000, 1_000_000):
        for tail in ("", "}", "}" * 60):
            with contextlib.suppress(ModelError):
                asked("tags").read(unit * (size // len(unit)) + tail)
    assert time.process_time() - started < 3

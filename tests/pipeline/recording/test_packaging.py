"""What models wrap around a caption comes off, and what is broken is never one."""

import time

import pytest

from picture_captioner.backends.base import DEFAULT_PROMPT
from picture_captioner.errors import ModelError
from picture_captioner.pipeline.recording.answers import fault_in, is_broken, judge_answer
from picture_captioner.pipeline.recording.packaging import unpacked

DOG = "A dog runs on a beach."


@pytest.mark.parametrize(
    "answer",
    [
        f"{DOG}<|im_end|>",
        f"<|im_start|>assistant\n{DOG}<|im_end|>\n<|im_start|>user\nAnd now?",
        f"{DOG}</s>",
        f"<s>{DOG}</s><pad><pad>",
        f"{DOG}<end_of_turn>",
        f"{DOG}<|eot_id|>{DOG}",
        f"<|begin_of_box|>{DOG}<|end_of_box|>",
        f"The answer is <|begin_of_box|>{DOG}<|end_of_box|>",
        f"<|channel|>analysis<|message|>We must describe it.<|end|><|start|>assistant"
        f"<|channel|>final<|message|>{DOG}<|return|>",
        f"analysisThe user wants a caption.assistantfinal{DOG}",
        f"```\n{DOG}\n```",
        f"```text\n{DOG}\n```",
        f'```json\n{{"caption": "{DOG}"}}\n```',
        f'{{"caption": "{DOG}"}}',
        f'{{"Description": "{DOG}", "confidence": 0.9}}',
        f'"{DOG}"',
        f"\u201c{DOG}\u201d",
        f"**{DOG}**",
        f'**Caption:** "{DOG}"',
        f"**Caption**: {DOG}",
        f"Caption: {DOG}",
        f"### Image description: {DOG}",
        f"Beschreibung: {DOG}",
        f"描述\uff1a{DOG}",
        f"Sure! Here is a caption for the photo:\n\n{DOG}",
        f'Here\'s a description: "{DOG}"',
        f"Caption: This image shows a {DOG[2:]}",
        f"# Caption\n{DOG}",
        f"<caption>{DOG}</caption>",
        f"\u200b{DOG}\ufeff",
        f"Hier ist eine Bildunterschrift: {DOG}",
        f"Voici une légende : {DOG}",
        f"{DOG} ASSISTANT: {DOG}",
        f"{DOG}\n\nLet me know if you want a different style!",
        f'{{"caption": "{DOG}"',
        f"{{'caption': '{DOG}'}}",
        f'{{"Caption": "{DOG}",}}',
        f'{{"photo": {{"caption": "{DOG}"}}}}',
        f'[{{"caption": "{DOG}"}}]',
        f'{{"captions": ["{DOG}", "A brown dog."]}}',
        f'{{"image_description": "{DOG}"}}',
        f'{{"Bildbeschreibung": "{DOG}", "sicher": true}}',
        f'{{"result": {{"alt_text": "{DOG}"}}}}',
        f'{{"choices": [{{"message": {{"role": "assistant", "content": "{DOG}"}}}}]}}',
        f'["{DOG}"]',
        f"['{DOG}', 'A brown dog.']",
        f'("{DOG}",)',
        f"<p>{DOG}</p>",
        f'<div class="c"><b>{DOG}</b></div>',
    ],
)
def test_packaging_comes_off(answer):
    assert judge_answer(answer).text == DOG


QUESTION_AND_ALL = (
    f"system\nYou are a helpful assistant.\nuser\n{DEFAULT_PROMPT}\nassistant\n{DOG}",
    f"<|im_start|>user\n{DEFAULT_PROMPT}<|im_end|>\n<|im_start|>assistant\n{DOG}<|im_end|>",
    f"[INST] <image>\n{DEFAULT_PROMPT} [/INST] {DOG}</s>",
    f"USER: <image>\n{DEFAULT_PROMPT} ASSISTANT: {DOG}",
    f"USER: {DEFAULT_PROMPT}\nASSISTANT: {DOG}\nUSER: And now?\nASSISTANT: A cat.",
    f"user\n{DEFAULT_PROMPT}\nassistant\n{DOG}\nuser\nAnd now?\nassistant\nA cat.",
    f"{DEFAULT_PROMPT} {DOG}",
    f"{DEFAULT_PROMPT}\n\n{DOG}",
)


@pytest.mark.parametrize(
    "answer",
    [
        *QUESTION_AND_ALL,
        f"assistant\n\n{DOG}",
        f"Assistant: {DOG}",
        f"### Response: {DOG}",
        f"Output: {DOG}",
        f"Alt-text: {DOG}",
        f'"caption": "{DOG}"',
        f'caption = "{DOG}"',
        f"{DOG}\n\nUser: And now?",
        f"\\boxed{{{DOG}}}",
        f"The final answer is: $\\boxed{{\\text{{{DOG}}}}}$",
        f"[{DOG}]",
        f"[CAPTION: {DOG}]",
        f"\u2018{DOG}\u2019",
        f'"{DOG}',
        f'{DOG}"',
        f"&quot;{DOG}&quot;",
        f"*{DOG}*",
        f"{DOG}<br>",
        f"<caption>{DOG}",
        f"{DOG}</caption>",
        f"<image>{DOG}",
        f"<response><caption>{DOG}</caption></response>",
        f"{DOG}[1]",
        "A <ref>dog</ref><box>(12,34),(56,78)</box> runs on a beach.",
        "\u2581A\u2581dog\u2581runs\u2581on\u2581a\u2581beach.",
        "A\u0120dog\u0120runs\u0120on\u0120a\u0120beach.".replace("A\u0120", "A "),
        f"Sure! {DOG}",
    ],
)
def test_what_a_template_or_a_server_puts_around_comes_off_whatever_was_asked(answer):
    assert judge_answer(answer).text == DOG


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("A dog &amp; a cat on a beach.", "A dog & a cat on a beach."),
        ("A dog\\u2019s day &#39;out&#39;.", "A dog\u2019s day 'out'."),
        ("<p>A dog runs.</p><p>The sea is calm.</p>", "A dog runs. The sea is calm."),
    ],
)
def test_signs_that_were_written_in_another_way_are_read(answer, caption):
    assert judge_answer(answer).text == caption


ASKED_FOR = "Give me two captions with tags for this photo."


@pytest.mark.parametrize(
    "answer",
    [
        f"1. {DOG} 2. A brown dog by the sea.",
        f"Option 1: {DOG} Option 2: A brown dog by the sea.",
        f'"{DOG}" or "A brown dog by the sea."',
        f"{DOG} Tags: dog, beach",
        f"{DOG} Confidence: 0.93",
        f"{DOG} (Confidence: 93%)",
        f"{DOG} (6 words)",
        f"{DOG} **Alt text:** a dog",
        f"Title: Beach day Caption: {DOG}",
        f"{DOG} {DOG}",
        f"- {DOG}",
        f"> {DOG}",
        f"1. {DOG}",
        f"I see {DOG[0].lower()}{DOG[1:]}",
        f"We can see {DOG[0].lower()}{DOG[1:]}",
        f"English: {DOG} German: Ein Hund am Strand.",
        f"**English:** {DOG}\n\n**Deutsch:** Ein Hund am Strand.\n\n**Español:** Un perro.",
        f"English: {DOG}\n\u4e2d\u6587\uff1a\u4e00\u53ea\u72d7\u3002",
        f"English: {DOG}",
    ],
)
def test_of_several_captions_the_first_is_taken_unless_a_person_asked_for_more(answer):
    assert judge_answer(answer).text == DOG
    assert judge_answer(answer, prompt=ASKED_FOR).text not in {DOG, None}


@pytest.mark.parametrize(
    "answer",
    [
        "A dog runs on a beach, ",
        "A dog runs on the",
        "A dog and",
        "Two dogs with a stick run on a",
        "Ein Hund und",
    ],
)
def test_a_caption_that_stops_in_mid_sentence_is_asked_for_again(answer):
    with pytest.raises(ModelError) as verdict:
        judge_answer(answer)
    assert verdict.value.code == "truncated"
    assert judge_answer(answer, prompt=ASKED_FOR).text == answer.strip()


def test_of_two_languages_the_one_that_was_asked_for_is_not_thrown_away():
    both = f"English: {DOG} German: Ein Hund am Strand."
    assert judge_answer(both, language="German").text == both
    assert judge_answer(both, language="English").text == DOG
    titled = f"English: {DOG} Title: Casablanca."
    assert judge_answer(titled).text == f"{DOG} Title: Casablanca."


@pytest.mark.parametrize(
    "caption",
    [
        '"OPEN" on one door and "CLOSED" on the other',
        "A poster says **SALE** in red.",
        "A sign reads: caption contest today.",
        "A page of a cookbook; description: {flour, sugar}.",
        "Answers to a quiz are chalked on a board.",
        "A keyboard with keys { and }",
        "An analysis of a sample lies on a desk.",
        "A note on a fridge reads: Let me know if you want milk.",
        "<caption> is written on a whiteboard beside HTML code.",
        "The USER: a book on a table.",
        "I see a man on a bench, and I see a woman behind it.",
        "I see a",
        "English: a book with this title lies on a desk, and German beside it",
        "\U0001f436\U0001f3d6",
        "1. FC Köln fans in red and white fill a stand.",
        'A laptop of 15"',
        "Sundays are for pancakes. #breakfast #family",
        "A model of a ship: USER is painted on its hull.",
        "A sign says that seven words (7 words) are enough here.",
        "(From left) Anna and Ben smile. (Photo by Carl.)",
        'Ein Schild mit der Aufschrift „Stopp!"',
        '"Stopp“ steht auf einem Schild.',
        '"Answer: 42" is chalked on a blackboard.',
        "'Response: none' is handwritten on a form.",
        '"Be happy every day." or "Carpe diem." mugs stand on a shelf.',
        "\u2018Open\u2019 hangs on the door of the bakers\u2019",
        "'Tis the season: a decorated tree at the grandparents'",
        "# 5 is painted on a garage door.",
        "> 100 people stand in a queue.",
        "- 5 °C, says a thermometer on a frozen window.",
        'A book lies on a table. Title: "The Hobbit".',
        "A chalkboard shows the menu. Note: the soup is sold out.",
        "A poster in a gym: confidence: 100%",
        "A T-shirt prints: self-confidence: high",
        "Code on a screen: <br> and <p> tags.",
        "A terminal shows cd ..\\new_folder in white.",
        "Of course! reads a T-shirt.",
        "Lorem ipsum text fills a mock-up page on a monitor.",
        "Der Hund schaut die Kamera an",
        "Zwei Läufer sprinten los",
        "Droga przez las",
        "Zasněžený les",
        "Un ciel d'or",
        "Et barn fodrer en and",
        "Unutulmaz bir an",
        "O menino abraça-a",
        "Die Klasse 5 a",
        "Regen im Urlaub :(",
    ],
)
def test_what_belongs_to_a_caption_stays(caption):
    assert judge_answer(caption).text == caption


@pytest.mark.parametrize(
    "answer",
    [
        "!" * 256,
        "! ! ! ! ! !",
        "...",
        "…",
        "“—”",
        "the " * 60,
        "A dog dog dog dog dog dog dog dog dog",
        "A man in a hat. " * 9,
        "A beach with people and umbrellas and people and umbrellas and people and umbrellas "
        "and people and umbrellas and people and umbrellas and people and umbrellas",
        "的" * 40,
        "一只狗在海滩上" * 8,
        "A d\ufffdg \ufffd\ufffd on a b\ufffdach",
        "A dog aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "0000000000000000",
        "犬犬犬犬犬犬犬犬犬犬犬犬",
        "assistant",
        "<|channel|>!!!!<|message|>!!!!!!!!!!!!",
    ],
)
def test_what_is_broken_is_a_verdict(answer):
    with pytest.raises(ModelError) as verdict:
        judge_answer(answer)
    assert verdict.value.code in {"broken", "empty"}
    assert len(str(verdict.value)) < 200


@pytest.mark.parametrize(
    "answer", ["<|im_end|>", "<|channel|>analysis<|message|>A dog?", "<s></s>"]
)
def test_marks_alone_are_nothing(answer):
    with pytest.raises(ModelError) as verdict:
        judge_answer(answer)
    assert verdict.value.code == "empty"


@pytest.mark.parametrize(
    "caption",
    [
        "A T-shirt says ha ha ha ha ha.",
        "A child, a dog, a child, a dog, a child: a row of paper figures.",
        "A scoreboard shows GOOOOOOOOAL! above a crowd.",
        "A table of contents: introduction ............. 7",
        "A row of red houses, blue houses, green houses, red houses and blue houses.",
        "哈哈哈哈哈地笑着的孩子们",
        "12:00 12:15 12:30 12:45 on a station clock board",
    ],
)
def test_a_caption_may_say_a_thing_twice(caption):
    assert not is_broken(caption)


def test_a_stored_title_is_judged_too():
    assert fault_in(DOG, {"title": "!!!!!!"}).code == "broken"


@pytest.mark.parametrize(
    "unit", ['"', "```json ", "**Caption:** ", "{", '{"caption": ', "<|", "ab "]
)
def test_a_hostile_answer_takes_no_time(unit):
    started = time.process_time()
    text = unpacked(unit * 200_000)
    is_broken(text)
    assert time.process_time() - started < 2

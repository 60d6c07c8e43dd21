"""The grammar of a search: what is typed, and which photos that means."""

import contextlib
import io
import random
from datetime import date, datetime

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from picture_captioner.errors import Status, UsageError
from picture_captioner.image_loader.images import thumbnail
from picture_captioner.journal.record import Record, RecordError
from picture_captioner.library.facts import PhotoFacts, Place
from picture_captioner.library.searching import Lookups
from picture_captioner.library.selection import Selection
from picture_captioner.library.store import Library
from picture_captioner.metadata.claims import TakenFrom
from tests.images import letter
from tests.library.filling import caption_of


def terms(text):
    return [(t.kind, t.value, t.negated) for t in Selection.parse(text).terms]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dogs beach", [("word", "dogs", False), ("word", "beach", False)]),
        ('"on the beach" -dog', [("phrase", "on the beach", False), ("word", "dog", True)]),
        ('Person:"Anna B" -tag:x', [("person", "Anna B", False), ("tag", "x", True)]),
        ("2019-06..2019-09", [("date", "2019-06-01..2019-09-30", False)]),
        ("2019..", [("date", "2019-01-01..", False)]),
        ("..2020-02", [("date", "..2020-02-29", False)]),
        ("-2019-6-3", [("date", "2019-06-03..2019-06-03", True)]),
        ("date:2019", [("date", "2019-01-01..2019-12-31", False)]),
        ("from:2019", [("date", "2019-01-01..", False)]),
        ("to:2019-06", [("date", "..2019-06-30", False)]),
        ("2019", [("word", "2019", False)]),
        ("\u2212tag:snow", [("tag", "snow", True)]),
        ("http://x.org 3:4", [("word", "http://x.org", False), ("word", "3:4", False)]),
        ("close-up - -- .. :", [("word", "close-up", False)]),
        ("海\u3000犬", [("word", "海", False), ("word", "犬", False)]),
        ('unclosed "quote here', [("word", "unclosed", False), ("phrase", "quote here", False)]),
        ("\u201eam Strand\u201c hund", [("phrase", "am Strand", False), ("word", "hund", False)]),
        ("tag:\u00abNew York\u00bb", [("tag", "New York", False)]),
        ('person:"A \u201cBo\u201d C"', [("person", "A \u201cBo\u201d C", False)]),
        ("tag:a\u201eRose\u201c b", [("tag", "a\u201eRose\u201c", False), ("word", "b", False)]),
        ("dog dog", [("word", "dog", False)]),
    ],
)  # fmt: skip
def test_what_is_typed(typed, meant):
    assert terms(typed) == meant


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("person:", "person: needs a value right after the colon, such as person:Anna"),
        ("place: Lisbon", "place: needs a value"),
        ("has:faces", r"has:faces is none; did you mean 'face'\?.* caption, face, person"),
        ("status:ok", "it may be: success, error_corrupt"),
        ("from:soon", "from: 'soon' is no date; write 2019, 2019-06, 2019-06-30"),
        ("2019-13", "'2019-13' is no date"),
        ("date:2019-02-30", "is no date"),
        ("date:0000", "is no date"),
        ("2020..2019", "2020..2019 ends before it begins"),
        ("from:2019..2020", "is no date"),
        ("tag:***", "names nothing"),
        ("-similar:a.jpg", "cannot be negated"),
        (" ".join(f"w{n}" for n in range(300)), "300 words and conditions are too many"),
    ],
)
def test_what_cannot_be_gets_a_sentence(typed, said):
    with pytest.raises(UsageError, match=said):
        Selection.parse(typed)


@given(st.text(max_size=60) | st.text('ab "\u201c\u201d-').map("a tag:{0} {0}".format))
@example('tag:"\u201eRose\u201c"')
def test_the_text_of_a_selection_means_the_same(text):
    try:
        selection = Selection.parse(text)
    except UsageError:
        return
    assert Selection.parse(str(selection)) == selection


def photo(number, rel_path, caption=None, **given):
    record = {k: given.pop(k) for k in ("tags", "text_in_image", "title") if k in given}
    return rel_path, caption, record, PhotoFacts(
        content_sha256=f"{number:064x}", width=1, height=1, **given
    )  # fmt: skip


def at(text):
    return {"taken_at": datetime.fromisoformat(text), "taken_from": TakenFrom.EXIF}


LISBON = {"latitude": 38.7, "longitude": -9.1}
PHOTOS = [
    photo(1, "a/1.jpg", "Two dogs on a beach.", **at("2019-06-30T23:59:59"), **LISBON,
          camera="Google Pixel 3", tags=["dog", "sea"], perceptual_hash=0x0F0F_0F0F_0F0F_0F0F),
    photo(2, "a/2.jpg", "A dog in the snow.", **at("2020-01-02T10:00:00+01:00"),
          camera="Canon", tags=["Snow storm", "dog"]),
    photo(3, "a/3.jpg", "Two dogs on the beach, again.", **at("2019-07-01T00:00:00"),
          camera="Google Pixel 3", perceptual_hash=0x0F0F_0F0F_0F0F_0F0E),
    photo(4, "IMG-20190615-WA0001.jpg", "A dogma, and an invoice.",
          text_in_image={"value": "INVOICE 4711", "confidence": 0.9}),
    photo(5, "b/5.jpg"),
]  # fmt: skip


@pytest.fixture
def db(home, journal_path):
    lines = [
        Record(rel_path=path, caption=caption, status=Status.SUCCESS, extra=extra,
               content_sha256=facts.content_sha256).to_line()
        for path, caption, extra, facts in PHOTOS if caption is not None
    ]  # fmt: skip
    failed = Record(rel_path="b/6.jpg", caption=None, status=Status.ERROR_MODEL,
                    error=RecordError("refused", "no"))  # fmt: skip
    journal_path.write_bytes(b"".join([*lines, failed.to_line()]))
    with Library.open(home, pytest.fail) as library:
        library.follow_journal(journal_path)
        for path, _, _, facts in PHOTOS:
            library.facts.save(path, 1, 1, facts)
        yield library


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("dogs", "1 2 3"),
        ("dog", "1 2 3 4"),  # one begins with it, which helps while typing
        ("dog -dogma", "1 2 3"),
        ("dog -dogs", "4"),  # other forms of the word go, what begins with it does not
        ("snows", "2"),
        ('"dog in"', "2"),
        ("tag:SNOW", ""),
        ("tag:'snow storm'", ""),
        ('tag:"snow storm"', "2"),
        ("tag:dog -tag:sea", "2"),
        ("camera:pixel", "1 3"),
        ("camera:pixel camera:canon", "1 2 3"),
        ("camera:%", None),
        ("2019-06", "1 4"),
        ("2019-06..2019-07 dogs", "1 3"),
        ("-2019", "1 2 3 4 5 6"),
        ("-2019..2019", "2 5 6"),
        ("from:2020", "2"),
        ("has:place", "1"),
        ("-has:caption", "5 6"),
        ("has:text", "4"),
        ("text:4711", "4"),
        ("4711", "4"),
        ("text:dogma", ""),
        ("status:error_model", "6"),
        ("status:pending", "5"),
        ("status:pending status:error_model", "5 6"),
        ("place:lisb", "1"),
        ("place:portugal beach", "1"),
        ("place:porto", ""),
        ("place:intend", "1"),
        ("-beach", "2 4 5 6"),
        ("dogs unicorn", ""),
        ("tag:'; DROP TABLE captions --", None),
    ],
)
def test_which_photos_that_is(db, typed, found):
    db.facts.name_places(lambda places: [Place("Lisbon, Portugal", "Intendente")] * len(places))
    if found is None:
        with contextlib.suppress(UsageError):
            db.search(Selection.parse(typed), 10)
        assert caption_of(db, "a/1.jpg") is not None
        return
    numbers = {path: str(n) for n, (path, *_) in enumerate(PHOTOS, 1)} | {"b/6.jpg": "6"}
    selection = Selection.parse(typed)
    chosen = sorted(numbers[path] for path in db.select(selection))
    assert " ".join(chosen) == found
    if found:
        shown = db.search(selection, None, fold=False).photos
        assert sorted(numbers[hit.rel_path] for hit in shown) == chosen


def test_near_duplicates_are_folded_and_counted(db):
    found = db.search(Selection.parse("beach"), 10)
    assert [hit.rel_path for hit in found.photos] == ["a/3.jpg"]
    assert (found.folded, found.more) == (1, 0)
    assert len(db.search(Selection.parse("beach"), 10, fold=False).photos) == 2
    limited = db.search(Selection.parse("dog"), 1)
    assert (len(limited.photos), limited.more) == (1, 3)


def test_what_thumbnails_tell_apart_is_not_folded(db):
    random = np.random.default_rng(1)
    for _, _, _, facts in PHOTOS[:3]:
        cells = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        cells.resize((320, 320)).save(stream := io.BytesIO(), "WEBP")
        db.save_thumbnail(facts.content_sha256, stream.getvalue())
    found = db.search(Selection.parse("beach"), 10)
    assert (len(found.photos), found.folded) == (2, 0)


@pytest.mark.parametrize(("other", "folded"), [(letter(2), 0), (letter(1).reduce(2), 1)])
def test_letters_with_one_head_are_not_folded_and_a_small_copy_is(db, other, folded):
    for (*_, facts), picture in zip(PHOTOS[0:3:2], (letter(1), other), strict=True):
        db.save_thumbnail(facts.content_sha256, thumbnail(picture))
    assert db.search(Selection.parse("beach"), 10).folded == folded


def test_by_date_the_newest_come_first_and_those_without_a_time_last(db):
    found = db.search(Selection.parse("-unicorn"), None, fold=False).photos
    assert [hit.rel_path for hit in found] == [
        "a/2.jpg", "a/3.jpg", "a/1.jpg", "IMG-20190615-WA0001.jpg", "b/5.jpg", "b/6.jpg",
    ]  # fmt: skip
    assert found[3].captured_at == date(2019, 6, 15)
    dogs = db.search(Selection.parse("dog"), 10, by_date=True).photos
    assert dogs[0].rel_path == "a/2.jpg"


def test_a_time_that_becomes_known_later_counts(db):
    assert list(db.select(Selection.parse("2018"))) == []
    assert "b/5.jpg" not in db.select(Selection.parse("2018..2018"))
    db.facts.save("b/5.jpg", 1, 2, PhotoFacts(content_sha256=f"{5:064x}", width=1, height=1,
                                              **at("2018-01-01T00:00:00")))  # fmt: skip
    assert list(db.select(Selection.parse("2018..2018"))) == ["b/5.jpg"]


def test_similar_photos_the_nearest_first_within_the_filters(db):
    with pytest.raises(UsageError, match=r"nothing is known that .* could be compared by"):
        db.search(Selection.parse("similar:a/1.jpg"), 10)
    keys = [facts.content_sha256 for *_, facts in PHOTOS[:3]]
    db.save_vectors("m:1", keys, np.array([[1, 0], [0.6, 0.8], [0.9, 0.1]]))
    near = db.search(Selection.parse("similar:a/1.jpg"), 10, fold=False).photos
    assert [hit.rel_path for hit in near] == ["a/1.jpg", "a/3.jpg", "a/2.jpg"]
    near = db.search(Selection.parse("similar:a/1.jpg camera:canon"), 10).photos
    assert [(hit.rel_path, hit.why) for hit in near] == [
        ("a/2.jpg", "similar:a/1.jpg; camera:canon")
    ]


def test_copies_of_the_nearest_take_no_place_of_others(db):
    """As many as were asked for, though the nearest all look like one; likeness has no end."""
    for n in range(1, 41):
        looks = random.Random(n if n > 30 else 1).getrandbits(62)
        db.facts.save(f"s/{n}.jpg", 1, 2, PhotoFacts(content_sha256=f"{n + 500:064x}", width=1,
                                                     height=1, perceptual_hash=looks))  # fmt: skip
    turned = np.array([[np.cos(n / 100), np.sin(n / 100)] for n in range(40)])
    db.save_vectors("m:1", [f"{n + 501:064x}" for n in range(40)], turned)
    found = db.search(Selection.parse("similar:s/1.jpg"), 3)
    assert [hit.rel_path for hit in found.photos] == ["s/1.jpg", "s/31.jpg", "s/32.jpg"]
    assert (found.folded, found.more) == (29, 0)
    words = Lookups(words_vector=("m:1", turned[0]))
    found = db.search(Selection.parse("unicorn"), 3, words)
    assert [hit.rel_path for hit in found.photos] == ["s/1.jpg", "s/31.jpg", "s/32.jpg"]
    assert found.more == 0


def test_people_are_asked_of_who_knows_them(db):
    with pytest.raises(UsageError, match="nobody has been named here"):
        db.search(Selection.parse("person:Anna"), 10)
    shows = {"Anna": [f"{2:064x}"], "Bo": []}
    lookups = Lookups(persons=shows.__getitem__)
    assert list(db.select(Selection.parse("person:Anna"), lookups)) == ["a/2.jpg"]
    assert list(db.select(Selection.parse("snow -person:Anna"), lookups)) == []
    assert list(db.select(Selection.parse("person:Anna person:Bo"), lookups)) == []


SPACELESS = {
    "ja": ("日本の海滩に沈む夕日", "海滩"),
    "th": ("เด็กสองคนเล่นอยู่บนชายหาดทราย", "ชายหาด"),
    "lo": ("ເດັກນ້ອຍຫຼິ້ນຢູ່ຫາດຊາຍ", "ຫາດຊາຍ"),
    "km": ("ក្មេងពីរនាក់លេងនៅលើឆ្នេរខ្សាច់", "ឆ្នេរ"),
    "my": ("ကလေးနှစ်ယောက်ကမ်းခြေမှာကစားနေသည်", "ကမ်းခြေ"),
    "hi": ("समुद्र तट पर दो बच्चे", "तट"),
}
STEMS = [
    ("A dog and two children at the lake.", "dogs child lakes", "hound"),
    ("Zwei Hunde und ein Haus am Strand.", "Hund Häuser Strände", "Katze"),
    ("Deux chevaux et une maison dans les montagnes.", "maisons montagne", "chat"),
    ("Dos perros en la playa con los niños.", "perro playas niño", "gato"),
    ("Due cani e una montagna con le barche.", "cane montagne barca", "gatto"),
    ("Собака и дети на пляже.", "собаки пляж", "кошка"),
]


@pytest.mark.parametrize(("caption", "word"), SPACELESS.values(), ids=SPACELESS)
def test_words_inside_scripts_without_spaces(home, journal_path, caption, word):
    lines = [Record(rel_path="x.jpg", caption=caption, status=Status.SUCCESS).to_line()]
    lines += [
        Record(rel_path=f"{name}.jpg", caption=other, status=Status.SUCCESS).to_line()
        for name, (other, _) in SPACELESS.items() if other != caption
    ]  # fmt: skip
    journal_path.write_bytes(b"".join(lines))
    with Library.open(home, pytest.fail) as db:
        db.follow_journal(journal_path)
        assert list(db.select(Selection.parse(word))) == ["x.jpg"]


@pytest.mark.parametrize(("caption", "words", "other"), STEMS)
def test_other_forms_of_a_word(home, journal_path, caption, words, other):
    record = Record(rel_path="x.jpg", caption=caption, status=Status.SUCCESS)
    journal_path.write_bytes(record.to_line())
    with Library.open(home, pytest.fail) as db:
        db.follow_journal(journal_path)
        for word in words.split():
            assert list(db.select(Selection.parse(word))) == ["x.jpg"], word
        assert list(db.select(Selection.parse(other))) == []


def test_stems_of_one_language_find_nothing_in_another(home, journal_path):
    """By Italian rules `care` is `car`."""
    record = Record(rel_path="x.jpg", caption="Two cars in the rain.", status=Status.SUCCESS)
    journal_path.write_bytes(record.to_line())
    with Library.open(home, pytest.fail) as db:
        db.follow_journal(journal_path)
        assert list(db.select(Selection.parse("care"))) == []

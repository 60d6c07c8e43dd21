"""`caption.py search` as a person types it."""

import json
import re
import shlex
import shutil
import stat
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picture_captioner.cli.command_flags import SearchFlags
from picture_captioner.cli.commands.search import print_search
from picture_captioner.errors import BackendUnavailableError, Status
from picture_captioner.journal.record import Record
from picture_captioner.library.facts import Facts, PhotoFacts
from picture_captioner.library.store import Library
from tests.support import caption, draw, install_package

RECORDS = [
    Record(rel_path="2024/beach.jpg", caption="Children on a beach.", status=Status.SUCCESS),
    Record(rel_path="2024/dog.jpg", caption="A dog in the snow.", status=Status.SUCCESS),
    Record(
        rel_path="evil\x1b[2J\u202e.jpg",
        caption="A red\x1b]0;gone\x07 \u2028house=cmd|' /C calc'!A0",
        status=Status.SUCCESS,
        extra={"title": "<img onerror=x>", "tags": ["house"]},
    ),
]


@pytest.fixture
def here(tmp_path):
    (tmp_path / "captions.jsonl").write_bytes(b"".join(r.to_line() for r in RECORDS))
    return tmp_path


def test_search_prints_paths_and_captions_and_keeps_an_index(here):
    done = caption("search", "children on a beach", cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2024/beach.jpg\tChildren on a beach.\n"
    assert stat.S_IMODE((here / "library.db").stat().st_mode) == 0o600
    some = caption("search", "dog", "unicorn", "--limit=1", cwd=here)
    assert some.stdout.startswith("2024/dog.jpg\t")
    assert "No caption has all of these words; these have some of them" in some.stderr


def test_nothing_found_is_no_error_and_nothing_typed_is_one(here):
    none = caption("search", "unicorn", cwd=here)
    assert (none.returncode, none.stdout) == (0, "")
    assert none.stderr == "Nothing found for unicorn\n"
    odd = caption("search", '"', "--", "-*", cwd=here)
    assert odd.returncode == 64
    assert "nothing to search for in '\" -*': it has no letter, digit or emoji" in odd.stderr


def test_words_are_gathered_once_for_all_that_no_photo_has(here, monkeypatch, capsys):
    """Of 50,000 captions it takes 2 seconds, for each of the words."""
    monkeypatch.chdir(here)
    gathered = []
    names_of = Facts.names_of
    monkeypatch.setattr(
        Facts, "names_of", lambda self, kind: gathered.append(kind) or names_of(self, kind)
    )
    assert print_search(SearchFlags(), ["childern", "baech", "unicorn"], None) == 0
    assert gathered == ["word"]
    told = capsys.readouterr().err
    assert "did you mean 'children'?" in told
    assert "did you mean 'beach'?" in told


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["-"], "in '-': it has no letter, digit or emoji"),
        (["?!", "&"], "in '?! &': it has no letter, digit or emoji"),
        ([" "], "nothing to search for: give a word"),
        (["tag:"], "tag: needs a value right after the colon, such as tag:snow"),
        (["tag:***"], "names nothing; such as tag:snow"),
    ],
)
def test_what_holds_no_word_is_answered_by_a_sentence(here, typed, said):
    odd = caption("search", "--", *typed, cwd=here)
    assert (odd.returncode, odd.stdout) == (64, "")
    assert said in odd.stderr
    assert odd.stderr.count("\n") == 1


SIGNS = {
    "1.jpg": "A book about C++.",
    "2.jpg": "A book about C# and .NET.",
    "3.jpg": "A cat at the beach, 50 metres away.",
    "4.jpg": "An AT&T shop: 50% off; R&B; A4-paper.",
    "5.jpg": "A party \U0001f389\ufe0f in A40 Street, with an R and a B.",
}


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("C++", "1"), ("c#", "2"), (".NET", "2"), (".net", "2"), ("50%", "4"), ("AT&T", "4"),
        ("R&B", "4"), ("A4-", "4"), ("\U0001f389", "5"), ("-C++ book", "2"), ('"C++ book"', ""),
        ('"about C#"', "2"), ("C++, book", "1"), ("tag:C++", "1"), ("tag:\U0001f389", "5"),
        ("(beach)", "3"), ("beach!", "3"), ("cat*", "3"), ("r & b", "45"),
    ],
)  # fmt: skip
def test_signs_are_found_as_they_are_typed(tmp_path, typed, found):
    tags = {"1.jpg": ["C++"], "2.jpg": ["C#"], "5.jpg": ["\U0001f389"]}
    (tmp_path / "captions.jsonl").write_bytes(
        b"".join(
            Record(
                rel_path=path,
                caption=said,
                status=Status.SUCCESS,
                extra={"tags": tags.get(path, [])},
            ).to_line()
            for path, said in SIGNS.items()
        )
    )
    done = caption("search", "--all", "--paths0", "--", typed, cwd=tmp_path)
    assert done.returncode == 0
    assert sorted(done.stdout.split("\0"))[1:] == [f"{name}.jpg" for name in found]


@pytest.mark.parametrize("typed", ["Die Straße", "die strasse", "DIE STRASSE"])
@pytest.mark.parametrize("written", ["Die Straße am See", "DIE STRASSE AM SEE"])
def test_a_phrase_is_found_however_its_sharp_s_is_written(tmp_path, typed, written):
    line = Record(rel_path="1.jpg", caption=written, status=Status.SUCCESS).to_line()
    (tmp_path / "captions.jsonl").write_bytes(line)
    done = caption("search", "--paths0", f'"{typed}"', cwd=tmp_path)
    assert (done.returncode, done.stdout.split("\0")[0].rpartition("/")[2]) == (0, "1.jpg")
    assert caption("search", "--paths0", f'-"{typed}" see', cwd=tmp_path).stdout == ""


def test_what_is_printed_is_safe_and_json_is_whole(here):
    shown = caption("search", "house", cwd=here).stdout
    assert shown.isascii()
    assert shown.count("\n") == 1
    assert "\x1b" not in shown
    (hit,) = json.loads(caption("search", "--json", "house", cwd=here).stdout)
    assert list(hit) == ["rel_path", "path", "score", "why", "captured_at", "caption"]
    assert (hit["rel_path"], hit["caption"]) == (RECORDS[2].rel_path, RECORDS[2].caption)
    assert (hit["path"], hit["why"], hit["captured_at"]) == (None, "caption: house", None)
    assert json.loads(caption("search", "--json", "unicorn", cwd=here).stdout) == []


def test_a_broken_index_is_rebuilt_aloud(here):
    (here / "library.db").write_bytes(b"no database" * 1000)
    done = caption("search", "dog", cwd=here)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "moved to library.db.broken, and a new one is begun" in done.stderr
    assert (here / "library.db.broken").read_bytes() == b"no database" * 1000


def test_it_works_with_the_journal_alone_where_nothing_can_be_written(here):
    done = caption("search", "dog", "--library-db=/proc/library.db", cwd=here)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "Searching without it this time" in done.stderr
    assert not (here / "library.db").exists()


def test_no_journal_yet(tmp_path):
    done = caption("search", "dog", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (74, "")
    assert "there is no journal at captions.jsonl; name it with --captions-jsonl" in done.stderr
    assert list(tmp_path.glob("library*")) == []


def test_a_year_among_the_words_is_no_time_and_the_command_for_one_is_said(tmp_path):
    """`search 2020` looks for the word, which captions and names of files seldom have."""
    draw(tmp_path / "photos" / "IMG_20100501_120000.jpg", seed=1)
    draw(tmp_path / "photos" / "b" / "IMG_20100502_120000.jpg", seed=2)
    assert caption("run", "--photos-dir=photos", cwd=tmp_path).returncode == 0
    done = caption("search", "2010", "--not=tag:x", "--photos-dir=photos", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (command,) = re.findall("^For photos taken in 2010: (.*)$", done.stderr, re.M)
    words = shlex.split(command)
    assert words[2:] == ["search", "--photos-dir=photos", "date:2010 -tag:x"]
    assert len(caption(*words[2:], cwd=tmp_path).stdout.splitlines()) == 2
    assert "taken in" not in caption("search", "2011", "--", "-2010", "201", cwd=tmp_path).stderr


def test_what_no_photo_has_is_answered_by_the_nearest_or_by_what_there_is(here):
    exif = Image.Exif()
    exif[0x0110] = "Pixel 8"
    draw(here / "photos" / "1.jpg", seed=1, exif=exif)
    assert caption("run", "--photos-dir=photos", cwd=here).returncode == 0

    def said(*typed):
        done = caption("search", *typed, cwd=here)
        assert (done.returncode, done.stdout) == (0, "")
        return [line for line in done.stderr.splitlines()[1:] if "not known yet" not in line]

    assert said("tag:hous") == ["No photo has the tag hous; did you mean 'house'?"]
    assert said("dog", "camera:nikon") == [
        "No photo has the camera nikon; the most frequent: Pixel 8"
    ]
    assert said("unicorn", "camera:pixel", "--not=tag:hous") == []
    assert said("kaethe") == []
    assert said("chidlren") == ["No photo has the word chidlren; did you mean 'children'?"]


def test_umlauts_that_were_typed_as_two_letters_are_found_out(here):
    names = {"m.jpg": "Urlaub in München.", "k.jpg": "Käthe in der Küche, das blaue Kleid an."}
    with (here / "captions.jsonl").open("ab") as file:
        for path, text in names.items():
            file.write(Record(rel_path=path, caption=text, status=Status.SUCCESS).to_line())
    for typed, meant in (("muenchen", "münchen"), ("Kaethe", "käthe"), ("kueche", "küche")):
        done = caption("search", typed, cwd=here)
        assert (done.returncode, done.stdout) == (0, "")
        assert f"No photo has the word {typed}; did you mean '{meant}'?" in done.stderr
        assert len(caption("search", meant, cwd=here).stdout.splitlines()) == 1
    with (here / "captions.jsonl").open("ab") as file:
        door = Record(rel_path="t.jpg", caption="A door.", status=Status.SUCCESS)
        file.write(replace(door, extra={"tags": ["T\u00fcr"]}).to_line())
    told = caption("search", "tag:Tuer", cwd=here).stderr
    assert "No photo has the tag Tuer; did you mean 't\u00fcr'?" in told


def test_where_a_photo_lay_before_is_left_out_while_any_is_there(tmp_path):
    for number in (1, 2):
        draw(tmp_path / "photos" / "old name" / f"{number}.jpg", seed=number)
    assert caption("run", "--photos-dir=photos", cwd=tmp_path).returncode == 0
    (tmp_path / "photos" / "old name").rename(tmp_path / "photos" / "new name")
    assert caption("run", "--photos-dir=photos", cwd=tmp_path).returncode == 0

    def found(*flags, shown="picture"):
        done = caption("search", shown, "--photos-dir=photos", *flags, cwd=tmp_path)
        return {line.split("\t")[0] for line in done.stdout.splitlines()}, done.stderr

    new, old = {"new name/1.jpg", "new name/2.jpg"}, {"old name/1.jpg", "old name/2.jpg"}
    here, said = found()
    assert here == new
    (forget,) = re.findall(
        "^2 that are not in photos left out .* then '(.*)' takes out", said, re.M
    )
    assert found("--all")[0] == new | old
    gone, said = found(shown='"old name"')
    assert gone == old, "nothing else is found"
    assert "None of these is in photos" in said
    assert caption(*shlex.split(forget)[2:], cwd=tmp_path).returncode == 0
    assert found() == (new, "")


def test_a_photo_that_was_replaced_is_found_by_what_holds_of_it_still(tmp_path):
    """Its folder is in one index with the caption of what lay there before."""
    photo = tmp_path / "photos" / "harbour" / "a.jpg"
    where = "--photos-dir=photos"
    draw(photo, seed=1, size=(64, 48))
    assert caption("run", where, cwd=tmp_path).returncode == 0
    draw(photo, seed=77, size=(64, 48))
    stages = ("--stage=normalize", "--stage=metadata")
    assert caption("process", where, *stages, cwd=tmp_path).returncode == 0
    for word, shown in (("harb", "harbour/a.jpg\t\n"), ("landscape", "")):
        found = caption("search", word, where, cwd=tmp_path)
        assert found.stdout == shown, (word, found.stderr)


def test_no_thumbnail_is_opened_of_what_another_program_wrote_into(tmp_path, monkeypatch, capsys):
    """Opening those of 50,000 photos took minutes, and their bytes are the same."""
    photo, where = tmp_path / "photos" / "a.jpg", "--photos-dir=photos"
    draw(photo, seed=1, size=(64, 48))
    assert caption("run", where, cwd=tmp_path).returncode == 0
    data = photo.read_bytes()
    photo.write_bytes(data[:2] + b"\xff\xfe\0\4hi" + data[2:])
    stages = ("--stage=normalize", "--stage=metadata")
    assert caption("process", where, *stages, cwd=tmp_path).returncode == 0
    monkeypatch.setattr("picture_captioner.image_loader.images.structure_of", None)
    monkeypatch.chdir(tmp_path)
    assert print_search(SearchFlags(), ["picture"]) == 0
    assert capsys.readouterr().out.startswith("a.jpg\tA ")


def test_what_is_left_is_not_counted_as_shown_when_look_alikes_are_left_out(tmp_path):
    for number in range(25):
        draw(tmp_path / "photos" / f"{number}.png", seed=number)
    for number in (23, 24):
        shutil.copy(tmp_path / "photos" / "22.png", tmp_path / "photos" / f"{number}.png")
    assert caption("run", "--photos-dir=photos", cwd=tmp_path).returncode == 0
    some = caption("search", "has:caption", cwd=tmp_path)
    told = re.search(r"^Up to (\d+) more photos; --limit N shows more$", some.stderr, re.M)
    whole = caption("search", "has:caption", "--limit=99", cwd=tmp_path).stdout.splitlines()
    assert told is not None
    assert len(whole) - 20 <= int(told[1])
    exact = caption("search", "has:caption", "--all", cwd=tmp_path).stderr
    assert re.search("^5 more photos; --limit N shows more$", exact, re.M)


def test_the_report_is_opened_with_the_search_in_it(here):
    missing = caption("search", "dog", "--open-report", cwd=here)
    assert missing.returncode == 78
    assert missing.stdout.startswith("2024/dog.jpg")
    assert f"no report at {here / 'report_out/cluster_report.html'}" in missing.stderr
    page = here / "my report" / "cluster_report.html"
    page.parent.mkdir()
    page.write_text("<html>")
    browser = here / "browser"
    browser.write_text(f'#!{sys.executable}\nimport sys\nopen("url", "w").write(sys.argv[1])\n')
    browser.chmod(0o700)
    flags = ("--open-report", "--out=my report")
    done = caption("search", 'snow & "dog"', *flags, cwd=here, BROWSER=f"{browser} %s")
    assert done.returncode == 0, done.stderr
    url = (here / "url").read_text()
    assert url == f"{page.as_uri()}#q=snow%20%22dog%22"
    assert f"Opened {url}" in done.stderr


class Words:
    """A joint embedder in two dimensions: dogs are along the first."""

    identity = "words:1"

    def embed_texts(self, texts):
        return np.array([[1.0, 0.0] if "dog" in t else [0.0, 1.0] for t in texts], np.float32)


@pytest.fixture
def with_vectors(here, monkeypatch):
    """Vectors of two photos, one of which nobody captioned."""
    monkeypatch.chdir(here)
    with Library.open(Path("library.db"), pytest.fail) as db:
        for rel_path, sha, vector in [
            ("new.jpg", "a" * 64, [0.9, 0.1]),
            ("x.jpg", "b" * 64, [0, 1]),
        ]:
            db.facts.save(rel_path, 1, 1, PhotoFacts(content_sha256=sha, width=1, height=1))
            db.save_vectors("words:1", [sha], np.array([vector]))
    return here


def test_pictures_are_searched_too_where_an_embedder_can(with_vectors, capsys):
    assert print_search(SearchFlags(limit=2), ["dog"], Words()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["2024/dog.jpg\tA dog in the snow.", "new.jpg\t"]


def test_captions_are_searched_alone_aloud_where_it_cannot(with_vectors, capsys):
    class Missing(Words):
        def embed_texts(self, texts):
            raise BackendUnavailableError("the model is not here")

    class Other(Words):
        identity = "other:1"

    for embedder, reason in (
        (Missing(), "the model is not here"),
        (Other(), "no vectors of other:1"),
    ):
        assert print_search(SearchFlags(), ["dog"], embedder) == 0
        printed = capsys.readouterr()
        assert printed.out == "2024/dog.jpg\tA dog in the snow.\n"
        assert "Searching the captions alone" in printed.err
        assert reason in printed.err


PLUGIN = """
import numpy as np
from picture_captioner.embedders.base import (Embedder)

class Words(Embedder):
    name = "words"
    identity = "words:1"
    embeds_images = embeds_texts = True

    def embed_texts(self, texts):
        return np.array([[1.0, 0.0] if "dog" in t else [0.0, 1.0] for t in texts], np.float32)
"""


@pytest.fixture
def words(tmp_path):
    """PYTHONPATH with the joint embedder `words`, as another package brings it."""
    modules = {"words_embedder": PLUGIN}
    return install_package(tmp_path, modules, "words = words_embedder:Words", kind="embedders")


def test_the_embedder_of_the_report_is_found_by_the_vectors_it_left(with_vectors, words):
    done = caption("search", "dog", "--limit=2", cwd=with_vectors, PYTHONPATH=words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["2024/dog.jpg\tA dog in the snow.", "new.jpg\t"]
    assert done.stderr == ""
    alone = caption("search", "dog", "--captions-only", cwd=with_vectors, PYTHONPATH=words)
    assert alone.stdout.splitlines() == ["2024/dog.jpg\tA dog in the snow."]


def test_an_embedder_that_is_gone_is_named_and_the_captions_are_searched(with_vectors):
    done = caption("search", "dog", cwd=with_vectors)
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["2024/dog.jpg\tA dog in the snow."]
    assert "Searching without words: there is no embedder 'words'" in done.stderr


def test_a_search_by_time_says_of_how_many_photos_it_is_not_known_yet(tmp_path):
    draw(tmp_path / "photos" / "a.jpg")
    draw(tmp_path / "photos" / "b.jpg", seed=2)
    (tmp_path / "config.env").write_text("PHOTOS_DIR=photos\n")
    assert caption("run", "--no-library", cwd=tmp_path).returncode == 0
    process = "Of 2 photos time, place and camera are not known yet: "
    for words in (["2019-06.."], ["camera:pixel"], ["picture", "--has=time"]):
        told = caption("search", *words, cwd=tmp_path).stderr.splitlines()[-1]
        assert told.startswith(process), words
        assert told.endswith("caption.py process --stage=metadata")
    assert process not in caption("search", "picture", cwd=tmp_path).stderr
    done = caption(*shlex.split(told.removeprefix(process))[2:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "not known yet" not in caption("search", "camera:pixel", cwd=tmp_path).stderr


def test_of_photos_that_are_gone_and_those_of_a_foreign_journal_no_time_is_asked_for(tmp_path):
    """Whose lines tell no content, and of which nobody can find out more."""
    draw(tmp_path / "photos" / "a.jpg")
    (tmp_path / "config.env").write_text("PHOTOS_DIR=photos\n")
    records = (Record(rel_path=f"{n}.jpg", caption="A.", status=Status.SUCCESS) for n in "ab")
    (tmp_path / "captions.jsonl").write_bytes(b"".join(r.to_line() for r in records))
    assert "Of 1 photo time, place" in caption("search", "2019..", cwd=tmp_path).stderr
    assert caption("process", "--stage=metadata", cwd=tmp_path).returncode == 0
    assert "not known yet" not in caption("search", "2019..", cwd=tmp_path).stderr

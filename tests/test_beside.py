"""What other programs say beside the photos is found by the commands, and only what they say."""

from __future__ import annotations

import json

import pytest

from picture_captioner.errors import Status
from picture_captioner.journal.record import Record
from picture_captioner.library.store import Library
from picture_captioner.metadata.told import Kind
from tests.metadata.takeout_trees import about, album, as_bytes
from tests.metadata.test_beside import DUMP
from tests.metadata.test_xmp_iptc import PACKET
from tests.support import caption, draw, report

FOLDER = "Takeout/Google Fotos/Ferien"


@pytest.fixture
def here(tmp_path):
    """Takeout, a sidecar and a dump, each about one photo; the fourth has nothing."""
    (tmp_path / "config.env").write_text("PHOTOS_DIR=photos\nBACKEND=mock\n")
    photos = tmp_path / "photos"
    draw(photos / FOLDER / "IMG_1(1).jpg", 1)
    draw(photos / "b.jpg", 2)
    apple = draw(photos / "apple" / "IMG_1.JPG", 3)
    draw(photos / "d.jpg", 4)
    said = about(
        "IMG_1.jpg",
        description="Picnic by the lake",
        people=[{"name": "Anna Müller"}],
        geoData={"latitude": 47.66, "longitude": 9.17, "altitude": 400.0},
    )
    (photos / FOLDER / "IMG_1.jpg.supplemental-met(1).json").write_bytes(as_bytes(said))
    (photos / FOLDER / "Metadaten.json").write_bytes(as_bytes(album("Ferien am See")))
    (photos / "b.jpg.xmp").write_bytes(PACKET)
    dump = [{**DUMP[0], "original_filesize": apple.stat().st_size}]
    (photos / "photos.json").write_text(json.dumps(dump))
    done = caption("process", "--stage", "normalize", "--stage", "metadata", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_no_people_leaves_out_the_names_that_others_gave(here):
    """Also where one is a mere keyword, with a photo that says of no one that it shows them."""
    keyword = (
        b"<dc:subject><rdf:Bag><rdf:li>Anna M\xc3\xbcller</rdf:li><rdf:li>Clara</rdf:li>"
        b"<rdf:li>Lake</rdf:li></rdf:Bag></dc:subject><digiKam:TagsList><rdf:Seq>"
        b"<rdf:li>Personen/Family/Clara</rdf:li></rdf:Seq></digiKam:TagsList>"
        b"<MicrosoftPhoto:LastKeywordXMP><rdf:Bag><rdf:li>Personen/Family/Clara</rdf:li></rdf:Bag>"
        b"</MicrosoftPhoto:LastKeywordXMP>"
    )
    (here / "photos" / "d.jpg.xmp").write_bytes(
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:dc="http://purl.org/dc/elements/1.1/"'
        b' xmlns:digiKam="http://www.digikam.org/ns/1.0/"'
        b' xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/"'
        b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="">'
        + keyword
        + b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    for flags, there in (((), True), (("--no-people",), False)):
        made = report(*flags, cwd=here)
        assert made.returncode == 0, made.stderr
        page = (here / "report_out" / "cluster_report.html").read_text()
        assert ("Anna Müller" in page) is there
        table = (here / "report_out" / "cluster_export.csv").read_text(encoding="utf-8")
        assert (",Anna Müller," in table) is there
        assert ("Clara" in page) is ("Clara" in table) is there
        assert "Lake" in page
    assert found(here, "person:clara") == ["d.jpg"]


def test_write_makes_no_name_of_a_keyword_of_lightroom(here):
    """Whose `People|Children` it puts into digiKam's list, too, for who reads that first."""
    (here / "photos" / "d.jpg.xmp").write_bytes(
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:lr="http://ns.adobe.com/lightroom/1.0/"'
        b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="">'
        b"<lr:hierarchicalSubject><rdf:Bag><rdf:li>People|Children</rdf:li></rdf:Bag>"
        b"</lr:hierarchicalSubject></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    record = Record(
        rel_path="d.jpg", caption="Two.", status=Status.SUCCESS, extra={"tags": ["sea"]}
    )
    (here / "captions.jsonl").write_bytes(record.to_line())
    done = caption("write", cwd=here)
    assert done.returncode == 0, done.stderr
    assert b"<rdf:li>People/Children</rdf:li>" in (here / "photos" / "d.jpg.xmp").read_bytes()
    assert caption("process", "--stage", "metadata", cwd=here).returncode == 0
    assert found(here, "tag:children") == ["d.jpg"]


def test_a_part_of_a_name_is_answered_by_the_name(here):
    for typed in ("Müller", "Muller"):
        done = caption("search", f"person:{typed}", cwd=here)
        assert (done.returncode, done.stdout) == (64, "")
        assert "nobody is called that; did you mean 'Anna Müller'? (--person 'NAME'" in done.stderr


def found(folder, *words):
    done = caption("search", *words, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return [hit["rel_path"] for hit in json.loads(done.stdout)]


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["picnic"], f"{FOLDER}/IMG_1(1).jpg"),
        (["person:Berta"], None),
        (['person:"Anna Müller"'], f"{FOLDER}/IMG_1(1).jpg"),
        (["ferien"], f"{FOLDER}/IMG_1(1).jpg"),
        (["date:2019-02-25"], f"{FOLDER}/IMG_1(1).jpg"),
        (["boat"], "b.jpg"),
        (["tag:lake"], "b.jpg"),
        (["grandma"], "apple/IMG_1.JPG"),
        (["tag:Building"], "apple/IMG_1.JPG"),
        (["date:2019-05"], "apple/IMG_1.JPG"),
    ],
)
def test_search_finds_what_others_say(here, words, path):
    if path is None:
        told = caption("search", *words, cwd=here).stderr
        assert told.endswith("person:Berta: nobody is called that\n")
    else:
        assert found(here, *words) == [path]


def test_keywords_of_other_programs_are_tags_like_any(here):
    """`search tag:` finds them and `tags delete` hides them, so `tags list` counts them."""

    def listed():
        shown = caption("tags", "list", "--json", cwd=here)
        return {row["tag"]: row["photos"] for row in json.loads(shown.stdout)}

    (here / "captions.jsonl").touch()
    assert listed()["lake"] == listed()["boat"] == 1
    done = caption("tags", "delete", "lake", cwd=here)
    assert "lake: left out everywhere from now on (1 photo with it)" in done.stderr
    assert "lake" not in listed()
    assert found(here, "tag:lake") == []


def test_places_and_times_are_merged_and_sourced(here):
    assert set(found(here, "has:place")) == {f"{FOLDER}/IMG_1(1).jpg", "b.jpg", "apple/IMG_1.JPG"}
    assert set(found(here, "has:time")) == set(found(here, "has:place"))
    with Library.open(here / "library.db", pytest.fail) as library:
        path = here / "photos" / FOLDER / "IMG_1(1).jpg"
        status = path.stat()
        facts = library.facts.of_file(f"{FOLDER}/IMG_1(1).jpg", status.st_size, status.st_mtime_ns)
    assert (facts.latitude, facts.taken_from) == (47.66, "takeout")
    assert {(one.kind, one.source) for one in facts.told} == {
        (Kind.DESCRIPTION, "takeout"),
        (Kind.PERSON, "takeout"),
        (Kind.ALBUM, "takeout"),
    }


def test_a_change_is_read_again_and_what_is_gone_is_forgotten(here):
    path = here / "photos" / "b.jpg.xmp"
    path.write_bytes(PACKET.replace(b"boat", b"canoe"))
    caption("process", "--stage", "metadata", cwd=here)
    assert (found(here, "canoe"), found(here, "boat")) == (["b.jpg"], [])
    path.unlink()
    (here / "photos" / "photos.json").unlink()
    caption("process", "--stage", "metadata", cwd=here)
    assert (found(here, "canoe"), found(here, "grandma")) == ([], [])
    assert found(here, "has:time") == [f"{FOLDER}/IMG_1(1).jpg"]


def test_what_we_wrote_ourselves_is_nobody_elses_word(here):
    assert caption("run", "--quiet", cwd=here).returncode == 0
    line = {
        "rel_path": "b.jpg",
        "caption": "A zebra",
        "status": "success",
        "tags": ["A > Zebra", "24/7"],
    }
    with (here / "captions.jsonl").open("a") as journal:
        journal.write(json.dumps({**line, "backend": "x", "model": "y"}) + "\n")
    assert caption("write", "--conflict=append", cwd=here).returncode == 0
    packet = (here / "photos" / "b.jpg.xmp").read_bytes()
    assert (b"zebra" in packet, b"24/7" in packet) == (True, True)
    caption("process", "--stage", "metadata", cwd=here)
    with Library.open(here / "library.db", pytest.fail) as library:
        status = (here / "photos" / "b.jpg").stat()
        facts = library.facts.of_file("b.jpg", status.st_size, status.st_mtime_ns)
    told = {one.value for one in facts.told if one.kind is Kind.KEYWORD}
    assert told == {"lake", "boat"}


def test_links_and_strange_files_say_nothing(here):
    secret = here / "secret.xmp"
    secret.write_bytes(PACKET.replace(b"boat", b"secret"))
    (here / "photos" / "d.jpg.xmp").symlink_to(secret)
    (here / "photos" / "d.json").write_bytes(b"[" * 100_000)
    (here / "photos" / "d.jpg.json").mkdir()
    done = caption("process", "--stage", "metadata", cwd=here)
    assert done.returncode == 0, done.stderr
    assert found(here, "secret") == []


def test_forget_takes_what_was_said_too(here):
    assert caption("run", "--quiet", cwd=here).returncode == 0
    done = caption("forget", "b.jpg", cwd=here)
    assert done.returncode == 0, done.stderr
    assert b"canoe" not in (here / "library.db").read_bytes()
    assert b"boat" not in (here / "library.db").read_bytes()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Takeout/Google Photos", "Takeout 2/Google Photos"),
        ("part1/Takeout/Google Fotos", "part2/Takeout/Google Fotos"),
        ("takeout-20240101T000000Z-001/Takeout/Google Photos",
         "takeout-20240101T000000Z-002/Takeout/Google Photos"),
        ("1/Google Photos", "2/Google Photos"),
    ],
)  # fmt: skip
def test_a_takeout_in_several_parts_has_photos_and_their_files_apart(tmp_path, one, other):
    (tmp_path / "config.env").write_text("PHOTOS_DIR=photos\nBACKEND=mock\n")
    first, second = (tmp_path / "photos" / part / "Ferien" for part in (one, other))
    draw(first / "IMG_1.jpg", 1)
    draw(first / "IMG_1-edited.jpg", 2)
    draw(first / "IMG_2.jpg", 3)
    draw(second / "IMG_2.jpg", 4)  # another account's, which has no file
    draw(second / "IMG_3.jpg", 5)
    names = {first: ["IMG_2"], second: ["IMG_1"]}
    for folder, titles in names.items():
        for title in titles:
            said = as_bytes(about(f"{title}.jpg", description=f"Words about {title}"))
            (folder / f"{title}.jpg.supplemental-metadata.json").write_bytes(said)
    (tmp_path / "photos" / "elsewhere" / "Ferien").mkdir(parents=True)
    caption("process", "--stage", "normalize", "--stage", "metadata", cwd=tmp_path)
    assert sorted(found(tmp_path, "words")) == [
        f"{one}/Ferien/IMG_1-edited.jpg", f"{one}/Ferien/IMG_1.jpg", f"{one}/Ferien/IMG_2.jpg",
    ]  # fmt: skip
    (second / "IMG_3.jpg.supplemental-metadata.json").write_bytes(
        as_bytes(about("IMG_3.jpg", description="Words about IMG_3"))
    )
    caption("process", "--stage", "normalize", "--stage", "metadata", cwd=tmp_path)
    assert f"{other}/Ferien/IMG_3.jpg" in found(tmp_path, "words")

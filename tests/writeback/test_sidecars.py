"""What other programs see after a write: the user's words and ours, by their own rules."""

from __future__ import annotations

import pytest

from picture_captioner.metadata.told import written_facts
from picture_captioner.metadata.xmp import from_xmp
from picture_captioner.metadata.xmp_packet import Region, XmpPacket
from picture_captioner.writeback.sidecars import (
    Conflict,
    Reader,
    begun,
    merge,
    sidecar_of,
)
from picture_captioner.writeback.words import (
    Own,
    Words,
    is_camera_text,
    keyword_path,
    own_words,
)
from tests.metadata.test_xmp_packet import FOREIGN

OWN = Own("OLYMPUS DIGITAL CAMERA", "", (("grandma",), ("Rome 2019",)))
OURS = Words(
    description="A square in Rome", title="Square", keywords=(("square",), ("Animal", "Dog")),
    alt="A square in Rome", people=(Region("Anna", "Face", 0.5, 0.5, 0.1, 0.1),),
)  # fmt: skip


def immich(sidecar, embedded):
    """metadata.service.ts: ImageDescription before Description; the first list that is there."""
    description = sidecar.text("tiff:ImageDescription") or embedded.description
    description = description or sidecar.text("dc:description")
    for name in ("digiKam:TagsList", "lr:hierarchicalSubject"):
        if items := sidecar.items(name):
            return description, {i.replace("|", "/") for i in items}
    return description, {path[-1] for path in embedded.keywords}


def digikam(sidecar, embedded):
    """dmetadatasettingscontainer.cpp: the order of namespaces for tags, and for comments."""
    order = ("digiKam:TagsList", "MicrosoftPhoto:LastKeywordXMP", "lr:hierarchicalSubject")
    for name in (*order, "mediapro:CatalogSets", "acdsee:categories", "dc:subject"):
        if items := sidecar.items(name):
            return sidecar.text("dc:description"), {i.replace("|", "/") for i in items}
    return sidecar.text("dc:description"), {path[-1] for path in embedded.keywords}


def lightroom(sidecar, _):
    """Flat and hierarchical keywords are joined, a caption is dc:description."""
    tags = {*sidecar.items("dc:subject"), *sidecar.items("lr:hierarchicalSubject")}
    return sidecar.text("dc:description"), {tag.replace("|", "/") for tag in tags}


def photoprism(sidecar, _):
    """Only dc:subject and dc:description."""
    return sidecar.text("dc:description"), set(sidecar.items("dc:subject"))


@pytest.mark.parametrize("reader", [immich, digikam, lightroom, photoprism])
def test_every_reader_sees_the_users_words_and_ours(reader):
    packet = XmpPacket()
    merge(packet, OURS, OWN)
    description, tags = reader(XmpPacket(packet.to_bytes()), OWN)
    assert description == "A square in Rome"
    assert {"grandma", "Rome 2019", "square"} <= tags
    assert tags & {"Animal/Dog", "Dog"}


@pytest.mark.parametrize("reader", [immich, digikam, lightroom, photoprism])
def test_an_existing_sidecar_keeps_what_a_human_wrote(reader):
    packet = XmpPacket(FOREIGN)
    added = merge(packet, OURS, OWN)
    again = XmpPacket(packet.to_bytes())
    description, tags = reader(again, OWN)
    assert description in {"Grandma in Rome", OWN.description}
    assert again.text("dc:description") == "Grandma in Rome"
    assert "dc:description" in added.kept
    assert {"square"} <= tags
    assert tags & {"grandma", "People/grandma"}
    assert "Rome 2019" in tags


def test_appended_words_stand_after_theirs_once():
    packet = XmpPacket(FOREIGN)
    merge(packet, OURS, Own(), Conflict.APPEND)
    assert packet.text("dc:description") == "Grandma in Rome\nA square in Rome"
    before = packet.to_bytes()
    assert not merge(packet, OURS, Own(), Conflict.APPEND)
    assert packet.to_bytes() == before


def test_a_new_caption_replaces_our_own_old_one_and_nobody_elses():
    packet = XmpPacket()
    added = merge(packet, Words(description="old"), Own())
    mine = {name: new for name, (_, new) in added.texts.items()}
    merge(packet, Words(description="new"), Own(), ours_before=mine)
    assert packet.text("dc:description") == "new"
    packet.set_default("dc:description", "a human's")
    added = merge(packet, Words(description="newer"), Own(), ours_before=mine)
    assert packet.text("dc:description") == "a human's"
    assert added.kept


def test_lists_that_another_program_reads_first_are_joined_where_they_are():
    packet = XmpPacket()
    packet.set_items("MicrosoftPhoto:LastKeywordXMP", ["theirs"])
    merge(packet, OURS, OWN)
    for name in ("MicrosoftPhoto:LastKeywordXMP", "digiKam:TagsList", "dc:subject"):
        assert {"theirs", "grandma", "square"} <= set(packet.items(name))


def test_keywords_that_differ_by_case_or_level_alone_are_one():
    packet = XmpPacket()
    words = Words(keywords=(("dog",), ("Animal", "Dog"), ("Beach",), ("beach",)))
    merge(packet, words, Own())
    assert packet.items("digiKam:TagsList") == ["Animal/Dog", "Beach"]
    assert packet.items("lr:hierarchicalSubject") == ["Animal|Dog", "Beach"]
    assert packet.items("dc:subject") == ["Dog", "Beach"]


SEPARATORS_AS_LETTERS = [("AC/DC",), ("24/7",), ("Foo|Bar",), ("Music", "R/B"), ("Rome  2019",)]


@pytest.mark.parametrize("of_whom", ["theirs", "inside", "ours"])
def test_a_second_write_adds_nothing(of_whom):
    """A list's separator is also a letter of words: what was written flat is read back flat."""
    packet, own, words = XmpPacket(), Own(), Words(keywords=(("square",),))
    if of_whom == "theirs":
        packet.set_items("dc:subject", [path[-1] for path in SEPARATORS_AS_LETTERS])
    elif of_whom == "inside":
        own = Own(keywords=tuple(SEPARATORS_AS_LETTERS))
    else:
        words = Words(keywords=tuple(p for p in SEPARATORS_AS_LETTERS if "|" not in p[0]))
    merge(packet, words, own)
    once = packet.to_bytes()
    assert {"AC/DC", "24/7"} <= set(packet.items("digiKam:TagsList"))
    assert not {"DC", "7", "Bar", "B"} & set(packet.items("dc:subject"))
    inside = own_words(from_xmp(once))  # what a photo says that was written into
    for again in (own, inside):
        packet = XmpPacket(once)
        assert not merge(packet, words, again)
        assert packet.to_bytes() == once
    facts = {f.value for f in written_facts({}, from_xmp(once).xmp, {}, "xmp")}
    assert {"AC/DC", "24/7"} <= facts
    assert not {"DC", "7", "Bar", "B"} & facts


@pytest.mark.parametrize("reader", [immich, digikam, lightroom, photoprism])
def test_their_flat_word_stays_beside_our_longer_one(reader):
    packet = XmpPacket()
    packet.set_items("dc:subject", ["dog", "CAT", "cat"])
    words = Words(keywords=(("Animal", "Dog"), ("Cat",)))
    merge(packet, words, Own())
    once = packet.to_bytes()
    assert {"dog", "CAT", "cat"} <= reader(packet, Own())[1]
    assert reader(packet, Own())[1] & {"Animal/Dog", "Dog"}
    assert not merge(packet, words, Own())
    assert packet.to_bytes() == once


def test_their_word_is_not_repeated_where_their_own_longer_one_has_it():
    packet = XmpPacket()
    packet.set_items("lr:hierarchicalSubject", ["Family|grandma"])
    packet.set_items("dc:subject", ["grandma"])
    merge(packet, Words(keywords=(("Grandma",), ("square",))), Own())
    assert packet.items("digiKam:TagsList") == ["Family/grandma", "square"]


def test_a_new_sidecar_has_what_the_shared_one_says_that_it_hides():
    """Immich takes IMG_1.jpg.xmp before IMG_1.xmp, which IMG_1.png shares."""
    shared = XmpPacket(FOREIGN)
    shared.set_items("dc:subject", ["grandma", "Rome 2019"])
    shared.set_default("tiff:Orientation", "6")
    shared.set_default("xmp:Rating", "4")
    new = begun(shared.to_bytes())
    merge(new, OURS, Own())
    assert new.text("dc:description") == "Grandma in Rome"
    assert {"People/grandma", "Rome 2019", "square"} <= set(new.items("digiKam:TagsList"))
    assert (new.text("xmp:Rating"), new.text("tiff:Orientation")) == ("4", None)
    assert begun(b"no XMP").items("dc:subject") == begun(None).items("dc:subject") == []


@pytest.mark.parametrize(
    ("text", "path"),
    [("Animal > Dog", ("Animal", "Dog")), ("a|b|c", ("a", "b", "c")), ("AC/DC", ("AC/DC",)),
     (" > ", ()), ("line\nbreak\x00", ("line break",))],
)  # fmt: skip
def test_levels_of_a_keyword(text, path):
    assert keyword_path(text) == path


@pytest.mark.parametrize("text", ["OLYMPUS DIGITAL CAMERA", "SONY DSC", "  ", "DCIM\\100MEDIA"])
def test_what_a_camera_wrote_is_no_description(text):
    assert is_camera_text(text)


@pytest.mark.parametrize("text", ["Sony and I", "My camera", "default is not what I meant"])
def test_what_somebody_wrote_is_one(text):
    assert not is_camera_text(text)


def test_where_a_sidecar_lies(tmp_path):
    jpeg, raw = tmp_path / "IMG.jpg", tmp_path / "IMG.CR2"
    full, short = tmp_path / "IMG.jpg.xmp", tmp_path / "IMG.xmp"
    assert sidecar_of(jpeg, None, is_raw=False, siblings=0) == full
    assert sidecar_of(raw, Reader.LIGHTROOM, is_raw=True, siblings=1) == short
    assert sidecar_of(jpeg, Reader.LIGHTROOM, is_raw=False, siblings=1) == full
    short.touch()
    assert sidecar_of(jpeg, None, is_raw=False, siblings=0) == short, "it would hide ours"
    assert sidecar_of(jpeg, None, is_raw=False, siblings=1) == full, "it is the raw file's"
    assert sidecar_of(raw, None, is_raw=True, siblings=1) == short
    full.touch()
    assert sidecar_of(jpeg, None, is_raw=False, siblings=0) == full

"""An XMP packet is changed without losing anything that others put into it."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picture_captioner.metadata.xmp import from_xmp
from picture_captioner.metadata.xmp_packet import Region, XmpError, XmpPacket
from tests.needs import need
from tests.support import ROOT

SIDECARS = ROOT.parent / "shared" / "sidecars"
REAL = sorted(SIDECARS.glob("*.xmp")) if SIDECARS.is_dir() else []

FOREIGN = b"""<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Some Program 1.0">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <!-- somebody's note -->
  <rdf:Description rdf:about="" xmlns:z="http://example.org/z/" z:Attribute="kept"
     xmlns:d="http://purl.org/dc/elements/1.1/" xmlns:k="http://www.digikam.org/ns/1.0/">
   <z:Empty><rdf:Bag/></z:Empty>
   <d:subject><rdf:Bag><rdf:li>grandma</rdf:li><rdf:li>Rome 2019</rdf:li></rdf:Bag></d:subject>
   <d:description><rdf:Alt>
     <rdf:li xml:lang="x-default">Grandma in Rome</rdf:li><rdf:li xml:lang="de">Oma in Rom</rdf:li>
   </rdf:Alt></d:description>
   <k:TagsList><rdf:Seq><rdf:li>People/grandma</rdf:li></rdf:Seq></k:TagsList>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
PADDING
<?xpacket end='w'?>""".replace(b"PADDING", b" " * 56)

ANNA = Region("Anna", "Face", 0.5, 0.25, 0.1, 0.2)


def seen_by_exiftool(data, tmp_path):
    path = tmp_path / "seen.xmp"
    path.write_bytes(data)
    command = [need("exiftool"), "-j", "-struct", "-G1", "-a", str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
    return {k: v for k, v in found.items() if k.startswith("XMP-") and k != "XMP-x:XMPToolkit"}


def with_ours(packet):
    packet.set_default("dc:description", "A dog <on> a & beach ü")
    packet.set_default("Iptc4xmpCore:AltTextAccessibility", "Dog")
    packet.add_items("dc:subject", ["dog", "beach"])
    packet.add_items("digiKam:TagsList", ["animal/dog"], "Seq")
    packet.add_regions([ANNA], 400, 300)
    return packet


def without_ours(packet, description):
    if description is None:
        packet.remove_default("dc:description")
    else:
        packet.set_default("dc:description", description)
    packet.remove_default("Iptc4xmpCore:AltTextAccessibility")
    packet.remove_items("dc:subject", ["dog", "beach"])
    packet.remove_items("digiKam:TagsList", ["animal/dog"])
    packet.remove_regions(["Anna"])
    return packet


def test_values_are_found_whatever_the_prefix_and_form():
    packet = XmpPacket(FOREIGN)
    assert packet.text("dc:description") == "Grandma in Rome"
    assert packet.items("dc:subject") == ["grandma", "Rome 2019"]
    assert packet.items("digiKam:TagsList") == ["People/grandma"]
    assert packet.text("dc:title") is None
    attribute = (
        FOREIGN.replace(b'z:Attribute="kept"', b'd:description="short"')
        .replace(b"<d:description>", b"<z:other>")
        .replace(b"</d:description>", b"</z:other>")
    )
    assert XmpPacket(attribute).text("dc:description") == "short"


def test_what_others_wrote_stays():
    data = with_ours(XmpPacket(FOREIGN)).to_bytes()
    for theirs in (
        b"<!-- somebody's note -->", b'z:Attribute="kept"', b"<z:Empty><rdf:Bag/></z:Empty>",
        b'<rdf:li xml:lang="de">Oma in Rom</rdf:li>', b"<rdf:li>grandma</rdf:li>",
        b"<rdf:li>People/grandma</rdf:li>", b"Some Program 1.0", b" " * 56,
    ):  # fmt: skip
        assert theirs in data
    again = XmpPacket(data)
    assert again.text("dc:description") == "A dog <on> a & beach ü"
    assert again.items("dc:subject") == ["grandma", "Rome 2019", "dog", "beach"]
    assert again.regions() == [ANNA]
    assert with_ours(again).to_bytes() == data, "a second time adds nothing"


def test_what_was_not_changed_is_byte_for_byte_the_same_around_the_packet():
    for data in (FOREIGN, FOREIGN.replace(b"\n", b"\r\n")):
        out = XmpPacket(data).to_bytes()
        assert out.partition(b"<x:xmpmeta")[0] == data.partition(b"<x:xmpmeta")[0]
        assert out.rpartition(b"</x:xmpmeta>")[2] == data.rpartition(b"</x:xmpmeta>")[2]


DECLARED = '<?xml version="1.0" encoding="{}"?>\n'
ODD_ENCODINGS = {
    "utf-16": FOREIGN.decode().encode("utf-16"),
    "utf-16-be": FOREIGN.decode().encode("utf-16-be"),
    "utf-32": FOREIGN.decode().encode("utf-32"),
    "utf-32-le": FOREIGN.decode().encode("utf-32-le"),
    "iso-8859-1": (DECLARED.format("ISO-8859-1") + FOREIGN.decode().replace("\ufeff", ""))
    .replace("Grandma in", "Größe in")
    .encode("latin-1"),
    "utf-8 that declares iso-8859-1": (DECLARED.format("ISO-8859-1") + FOREIGN.decode())
    .replace("Grandma in", "Größe in")
    .encode(),
}


@pytest.mark.parametrize("name", ODD_ENCODINGS)
def test_a_packet_keeps_its_encoding(name):
    data = ODD_ENCODINGS[name]
    greeted = "Größe in Rome" if "iso" in name else "Grandma in Rome"
    packet = XmpPacket(data)
    assert packet.text("dc:description") == greeted
    assert from_xmp(data).xmp["dc:description"] == greeted
    packet.add_items("dc:subject", ["Łódź 日本"])
    out = packet.to_bytes()
    assert XmpPacket(out).items("dc:subject")[-1] == "Łódź 日本"
    assert from_xmp(out).xmp["dc:subject"][-1] == "Łódź 日本"
    assert out[:60] == data[:60], "its marks, what it declares"
    assert XmpPacket(out).to_bytes() == out


def test_a_document_type_is_seen_in_every_encoding():
    hostile = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>' + FOREIGN.decode()
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-32"):
        assert not from_xmp(hostile.replace("\ufeff", "").encode(encoding)).xmp


def test_line_ends_stay():
    out = with_ours(XmpPacket(FOREIGN.replace(b"\n", b"\r\n"))).to_bytes()
    assert out.count(b"\n") == out.count(b"\r\n")
    assert XmpPacket(out).text("dc:description") == "A dog <on> a & beach ü"


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_sidecars_lose_nothing(path, tmp_path):
    data = path.read_bytes()
    before = seen_by_exiftool(data, tmp_path)
    assert seen_by_exiftool(XmpPacket(data).to_bytes(), tmp_path) == before
    changed = with_ours(XmpPacket(data)).to_bytes()
    after = seen_by_exiftool(changed, tmp_path)
    ours = {
        "XMP-dc:Description",
        "XMP-iptcCore:AltTextAccessibility",
        "XMP-dc:Subject",
        "XMP-digiKam:TagsList",
    }
    ours |= {"XMP-mwg-rs:RegionInfo"}
    differ = {k for k in {*before, *after} if before.get(k) != after.get(k)}
    assert differ == ours
    subjects = before.get("XMP-dc:Subject") or []
    subjects = subjects if isinstance(subjects, list) else [subjects]
    assert after["XMP-dc:Subject"] == [*subjects, "dog", "beach"]
    description = XmpPacket(data).text("dc:description")
    undone = without_ours(XmpPacket(changed), description).to_bytes()
    left = {k: v for k, v in before.items() if v}  # an empty list that was filled is gone
    assert {k: v for k, v in seen_by_exiftool(undone, tmp_path).items() if v} == left


def test_a_new_packet_is_valid(tmp_path):
    path = tmp_path / "new.xmp"
    path.write_bytes(with_ours(XmpPacket()).to_bytes())
    command = [need("exiftool"), "-validate", "-warning", "-a", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "OK" in done.stdout
    assert XmpPacket(path.read_bytes()).regions() == [ANNA]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no XMP"),
        (b"a shopping list", "no XMP"),
        (b"\xff\xd8\xff\xe0 a photo", "no XMP"),
        (b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><open></x:xmpmeta>", "no valid XML"),
        (b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", "no rdf:RDF"),
        (FOREIGN[: len(FOREIGN) // 2], "no valid XML"),
        (b"<x:xmpmeta " + b" " * (17 << 20), "bytes"),
    ],
)
def test_what_is_no_packet_is_refused(data, why):
    with pytest.raises(XmpError, match=why):
        XmpPacket(data)


def test_entities_are_not_followed(tmp_path):
    (tmp_path / "secret").write_text("a key")
    evil = (
        f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]>'.encode()
        + FOREIGN.replace(b"Grandma in Rome", b"&e;")
    )
    with pytest.raises(XmpError):
        XmpPacket(evil)


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(words, st.lists(words, max_size=6, unique=True), st.booleans())
def test_whatever_is_put_in_comes_out(text, keywords, foreign):
    packet = XmpPacket(FOREIGN) if foreign else XmpPacket()
    before = packet.items("dc:subject")
    packet.set_default("dc:description", text)
    packet.add_items("dc:subject", keywords)
    again = XmpPacket(packet.to_bytes())
    assert again.text("dc:description") == text
    assert again.items("dc:subject") == [*before, *(k for k in keywords if k not in before)]
    again.remove_items("dc:subject", [k for k in keywords if k not in before])
    assert again.items("dc:subject") == before

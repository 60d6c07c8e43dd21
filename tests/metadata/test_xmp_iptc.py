"""XMP and IPTC in every format that carries them; hostile packets are empty."""

import struct
from datetime import datetime

import pytest
from PIL import Image

from picture_captioner.image_loader.loading import examine_image
from picture_captioner.metadata.claims import Metadata, TakenFrom
from picture_captioner.metadata.iptc import from_iptc
from picture_captioner.metadata.xmp import from_xmp
from tests.images import encoded, gradient

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
  xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmp:CreateDate="2019-08-07T06:05:04+02:00"
  xmp:Rating="4" aux:Lens="EF 50mm" exif:GPSLatitude="52,31.2083N">
 <exif:GPSLongitude>13,24,18E</exif:GPSLongitude>
 <dc:subject><rdf:Bag><rdf:li>lake</rdf:li><rdf:li>boat</rdf:li></rdf:Bag></dc:subject>
 <dc:description><rdf:Alt><rdf:li xml:lang="de">See</rdf:li>
  <rdf:li xml:lang="x-default">A lake</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


def entry(dataset, text):
    return struct.pack(">BBBH", 0x1C, 2, dataset, len(text)) + text


IPTC = entry(55, b"20180706") + entry(60, b"101112+0100") + entry(25, b"one") + entry(25, b"two")


def photoshop(block):
    resource = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(block)) + block + bytes(len(block) % 2)
    body = b"Photoshop 3.0\0" + resource
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF"])
def test_every_format_that_carries_xmp(tmp_path, image_format):
    from PIL import PngImagePlugin

    options = {"xmp": PACKET}
    if image_format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", PACKET.decode())
        options = {"pnginfo": text}
    if image_format == "TIFF":
        options = {"tiffinfo": {700: PACKET}}
    (tmp_path / "photo").write_bytes(encoded(gradient(), image_format, **options))
    found = examine_image(tmp_path / "photo", None).traits.metadata
    assert found.taken_at.isoformat() == "2019-08-07T06:05:04+02:00"
    assert found.times[0].source is TakenFrom.XMP
    assert (found.latitude, found.longitude) == (52.520138, 13.405)
    assert found.sources == {"lens": "xmp", "position": "xmp"}
    assert found.xmp["dc:subject"] == ["lake", "boat"]
    assert found.xmp["dc:description"] == "A lake"
    assert found.xmp["xmp:Rating"] == "4"


def test_iptc_in_a_jpeg_and_its_place_behind_exif(tmp_path):
    data = encoded(gradient(), "JPEG")
    (tmp_path / "photo").write_bytes(data[:2] + photoshop(IPTC) + data[2:])
    found = examine_image(tmp_path / "photo", None).traits.metadata
    assert found.taken_at.isoformat() == "2018-07-06T10:11:12+01:00"
    assert found.iptc["Keywords"] == ["one", "two"]
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9004] = "2017:01:02 03:04:05"
    with_exif = encoded(gradient(), "JPEG", exif=exif, xmp=PACKET)
    (tmp_path / "photo").write_bytes(with_exif[:2] + photoshop(IPTC) + with_exif[2:])
    found = examine_image(tmp_path / "photo", None).traits.metadata
    assert [claim.source for claim in found.times] == ["digitized", "xmp", "iptc"]
    assert found.taken_at == datetime(2017, 1, 2, 3, 4, 5)  # noqa: DTZ001


UTF8 = struct.pack(">BBBH", 0x1C, 1, 90, 3) + b"\x1b%G"


@pytest.mark.parametrize(
    ("block", "word"),
    [
        (entry(25, "großmutter".encode("latin-1")), "großmutter"),
        (entry(25, "Größe „x“".encode("cp1252")), "Größe „x“"),
        (entry(25, "großmutter".encode()), "großmutter"),
        (UTF8 + entry(25, "großmutter".encode()), "großmutter"),
        (UTF8 + entry(25, "Straße in Kö".encode()[:-1]), "Straße in K"),
        (UTF8 + entry(25, "großmutter".encode("latin-1")), "großmutter"),
        (entry(25, b"\x81 caf\xe9"), "café"),
    ],
)
def test_letters_of_iptc_are_what_somebody_wrote(block, word):
    """1:90 says UTF-8 or nothing; a replacement character would hide the keyword for good."""
    assert from_iptc(block).iptc["Keywords"] == [word]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_letters_of_a_description_in_exif(tmp_path, encoding):
    exif = Image.Exif()
    exif[270] = "Die Großmutter in Köln".encode(encoding)
    (tmp_path / "photo").write_bytes(encoded(gradient(), "JPEG", exif=exif))
    found = examine_image(tmp_path / "photo", None).traits.metadata
    assert found.exif["ImageDescription"] == "Die Großmutter in Köln"


def test_a_day_alone_is_no_time():
    found = from_iptc(entry(55, b"20180706"))
    assert found.times[0].source is TakenFrom.DATE


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"junk",
        PACKET[:300],
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + PACKET,
        PACKET + b" " * (5 << 20),
        b"<a>" * 100_000,
    ],
    ids=["empty", "junk", "cut", "entities", "too long", "deep"],
)
def test_hostile_packets_are_empty(packet):
    assert from_xmp(packet) == Metadata()


@pytest.mark.parametrize("block", [b"\x1c", b"\x1c\x02\x37\xff\xff1", bytes(5000), IPTC[:-3]])
def test_hostile_blocks_do_not_raise(block):
    assert isinstance(from_iptc(block), Metadata)

"""Sidecars and osxphotos' files: whose they are, and what they say."""

import json

import pytest

from picture_captioner.metadata.beside import Folder
from picture_captioner.metadata.osxphotos import read_dump
from picture_captioner.metadata.told import Kind, NamedFace
from tests.metadata.test_xmp_iptc import PACKET

REGIONS = PACKET.replace(
    b"<dc:subject>",
    b"""<mwg-rs:Regions xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
   xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" rdf:parseType="Resource"><mwg-rs:RegionList>
   <rdf:Bag><rdf:li rdf:parseType="Resource"><mwg-rs:Name>Anna</mwg-rs:Name>
   <mwg-rs:Type>Face</mwg-rs:Type><mwg-rs:Area stArea:x="0.25" stArea:y="0.4" stArea:w="0.1"
   stArea:h="0.2" stArea:unit="normalized"/></rdf:li><rdf:li><rdf:Description mwg-rs:Name="Rex"
   mwg-rs:Type="Pet"><mwg-rs:Area stArea:x="0.5" stArea:y="0.5" stArea:w="0.1" stArea:h="0.1"/>
   </rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions><dc:subject>""",
)

SIDECAR = [
    {
        "SourceFile": "a.jpg",
        "ExifTool:ExifToolVersion": "12.00",
        "XMP:Description": "Grandma in Rome",
        "XMP:Title": "Rome",
        "IPTC:Keywords": ["Rome 2019", "Anna"],
        "XMP:PersonInImage": ["Anna"],
        "EXIF:GPSLatitude": 41.9,
        "EXIF:GPSLongitude": -12.5,
        "EXIF:GPSLongitudeRef": "W",
        "EXIF:DateTimeOriginal": "2019:05:06 07:08:09",
        "EXIF:OffsetTimeOriginal": "+02:00",
        "XMP:RegionName": ["Anna"],
        "XMP:RegionAreaX": [0.5],
        "XMP:RegionAreaY": [0.5],
        "XMP:RegionAreaW": [0.1],
        "XMP:RegionAreaH": [0.2],
    }
]

DUMP = [
    {
        "uuid": "1",
        "filename": "1.jpeg",
        "original_filename": "IMG_1.JPG",
        "original_filesize": 100,
        "date": "2019-05-06T07:08:09+02:00",
        "description": None,
        "title": "Rome",
        "keywords": ["grandma"],
        "labels": ["Building"],
        "albums": ["Italy"],
        "persons": ["Anna", "_UNKNOWN_"],
        "favorite": True,
        "location": [41.9, 12.5],
        "face_info": [{"name": "Anna", "mwg_rs_area": {"x": 0.5, "y": 0.5, "h": 0.2, "w": 0.1}}],
    },
    {"uuid": "2", "original_filename": "IMG_1.JPG", "original_filesize": 200, "title": "Other"},
]


def told(photos, files, raw=(), dumps=None):
    data = {n: v if isinstance(v, bytes) else json.dumps(v).encode() for n, v in files.items()}
    return Folder(dict.fromkeys(photos, 100), data, data.get, raw, dumps).facts()


def values(metadata, kind):
    return [one.value for one in metadata.facts if one.kind is kind]


@pytest.mark.parametrize("name", ["IMG_1.jpg.xmp", "IMG_1.JPG.XMP", "IMG_1.xmp"])
def test_a_sidecar_is_found_and_says_all_it_holds(name):
    said = told(["IMG_1.jpg"], {name: REGIONS})["IMG_1.jpg"]
    assert values(said, Kind.DESCRIPTION) == ["A lake"]
    assert values(said, Kind.KEYWORD) == ["lake", "boat"]
    assert values(said, Kind.PERSON) == ["Anna"]
    assert said.times[0].at == "2019-08-07T06:05:04+02:00"
    assert (said.latitude, said.longitude) == (52.520138, 13.405)
    assert said.faces == (NamedFace("Anna", 0.25, 0.4, 0.1, 0.2, "sidecar"),)
    assert said.sources["position"] == "sidecar"


def test_a_short_name_is_the_raw_photos_or_nobodys():
    files = {"IMG_1.xmp": PACKET}
    assert set(told(["IMG_1.jpg", "IMG_1.cr2"], files, {".cr2"})) == {"IMG_1.cr2"}
    assert told(["IMG_1.jpg", "IMG_1.png"], files) == {}


def test_osxphotos_sidecar():
    for name in ("a.jpg.json", "a.json"):
        said = told(["a.jpg"], {name: SIDECAR})["a.jpg"]
        assert values(said, Kind.DESCRIPTION) == ["Grandma in Rome"]
        assert values(said, Kind.KEYWORD) == ["Rome 2019"], "a name is no keyword"
        assert values(said, Kind.PERSON) == ["Anna"]
        assert (said.latitude, said.longitude) == (41.9, -12.5)
        assert said.times[0].at == "2019-05-06T07:08:09+02:00"
        assert said.faces[0].width == 0.1


def test_a_dump_knows_photos_by_name_and_size():
    from picture_captioner.metadata.beside import by_name

    dumps = by_name(read_dump(json.dumps(DUMP).encode()))
    said = told(["IMG_1.JPG"], {}, dumps=dumps)["IMG_1.JPG"]
    assert values(said, Kind.TITLE) == ["Rome"]
    assert values(said, Kind.PERSON) == ["Anna"]
    assert values(said, Kind.ALBUM) == ["Italy"]
    assert [(f.value, f.guessed) for f in said.facts if f.kind is Kind.KEYWORD] == [
        ("grandma", False),
        ("Building", True),
    ]
    assert said.faces[0].height == 0.2
    assert told(["IMG_2.JPG"], {}, dumps=dumps) == {}


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'[{"uuid": 1}]', b"[" * 5000, b"\xff"])
def test_what_is_no_dump(data):
    assert read_dump(data) == []


def test_each_of_eight_orientations():
    face = NamedFace("A", 0.2, 0.3, 0.1, 0.05, "x")
    turned = {n: face.upright(n) for n in range(1, 9)}
    where = {n: (round(f.x, 9), round(f.y, 9), f.width, f.height) for n, f in turned.items()}
    assert where == {
        1: (0.2, 0.3, 0.1, 0.05),
        2: (0.8, 0.3, 0.1, 0.05),
        3: (0.8, 0.7, 0.1, 0.05),
        4: (0.2, 0.7, 0.1, 0.05),
        5: (0.3, 0.2, 0.05, 0.1),
        6: (0.7, 0.2, 0.05, 0.1),
        7: (0.7, 0.8, 0.05, 0.1),
        8: (0.3, 0.8, 0.05, 0.1),
    }
    assert face.upright("6") == face


def test_sources_are_merged_the_sidecar_first_and_each_fact_once():
    from tests.metadata.takeout_trees import about

    said = told(
        ["a.jpg"],
        {
            "a.jpg.xmp": PACKET,
            "a.jpg.supplemental-metadata.json": about(
                "a.jpg",
                description="a LAKE",
                geoData={"latitude": 1.0, "longitude": 2.0, "altitude": 0},
            ),
        },
    )["a.jpg"]
    assert [(f.value, f.source) for f in said.facts if f.kind is Kind.DESCRIPTION] == [
        ("A lake", "sidecar")
    ]
    assert said.latitude == 52.520138
    assert [claim.source for claim in said.times] == ["xmp", "takeout"]

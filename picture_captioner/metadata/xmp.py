"""What an XMP packet says (ISO 16684-1): times, place, and all properties as data.

A packet is XML from a stranger: one with a document type is not read, since entities can be made
to grow without end, and neither is one over `MAX_XMP_BYTES`.
"""

from __future__ import annotations

import codecs
import re
from typing import Any
from xml.etree import ElementTree

from picture_captioner.metadata.claims import Metadata, TakenFrom, TimeClaim
from picture_captioner.metadata.exif import checked_position, text_of
from picture_captioner.metadata.times import parse_day, parse_time

MAX_XMP_BYTES = 4 << 20

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
    "http://www.digikam.org/ns/1.0/": "digiKam",
    "http://ns.microsoft.com/photo/1.0/": "MicrosoftPhoto",
    "http://ns.microsoft.com/photo/1.0": "MicrosoftPhoto",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://www.metadataworkinggroup.com/schemas/regions/": "mwg-rs",
    "http://ns.adobe.com/xmp/sType/Area#": "stArea",
    "http://ns.adobe.com/xap/1.0/sType/Dimensions#": "stDim",
}
_TIMES = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate")
_MOST_PROPERTIES, _DEEPEST = 500, 8
_SIGNS = {
    codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be",
    b"<\0\0\0": "utf-32-le", b"\0\0\0<": "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be",
    b"<\0": "utf-16-le", b"\0<": "utf-16-be",
}  # fmt: skip
"""What a packet begins with, which has no other mark; the longer ones first."""
_DECLARED = re.compile(rb"""<\?xml[^>]{1,100}?encoding\s*=\s*["']([\w.-]{1,40})""")
_COORDINATE = re.compile(
    r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])", re.ASCII
)


def from_xmp(packet: bytes) -> Metadata:
    """The metadata in a packet; empty if it is none."""
    properties = xmp_properties(packet)
    claims = []
    for name in _TIMES:
        text = str(properties.get(name, ""))
        if (time := parse_time(text)) is not None:
            claims.append(TimeClaim(time.isoformat(), TakenFrom.XMP))
        elif (day := parse_day(text)) is not None:
            claims.append(TimeClaim(f"{day.isoformat()}T12:00:00", TakenFrom.DATE))
    latitude, longitude = checked_position(
        _degrees(properties.get("exif:GPSLatitude"), "NS"),
        _degrees(properties.get("exif:GPSLongitude"), "EW"),
    )
    lens = properties.get("exifEX:LensModel") or properties.get("aux:Lens")
    return Metadata(
        times=tuple(claims),
        lens=lens if isinstance(lens, str) else None,
        latitude=latitude,
        longitude=longitude,
        xmp=properties,
    )


def encoding_of(packet: bytes) -> str:
    """XMP is in UTF-8, UTF-16 or UTF-32; some programs declare another, and mean it if need be."""
    for sign, name in _SIGNS.items():
        if packet.startswith(sign):
            return name
    declared = _DECLARED.search(packet[:300])
    try:
        packet.decode("utf-8")
    except UnicodeDecodeError:
        return declared[1].decode() if declared else "utf-8"
    return "utf-8"


def xmp_properties(packet: bytes) -> dict[str, Any]:
    """All properties by `prefix:Name`; a list for lists, the default language for texts in many."""
    if len(packet) > MAX_XMP_BYTES:
        return {}
    encoding = encoding_of(packet)
    if encoding == "utf-8":  # what is padded with is no text
        packet = packet[packet.find(b"<") : packet.rfind(b">") + 1]
    try:
        text = packet.decode(encoding)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return {}
        root = ElementTree.fromstring(text[text.find("<") : text.rfind(">") + 1])  # noqa: S314
    except (ElementTree.ParseError, ValueError, LookupError):
        return {}
    found: dict[str, Any] = {}
    for description in root.iter(f"{_RDF}Description"):
        found = _properties(description, 0) | found
        if len(found) > _MOST_PROPERTIES:
            break
    return found


def _properties(element: ElementTree.Element, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in element.attrib.items():
        if (key := _key(name)) and value.strip():
            found[key] = text_of(value)
    for child in element:
        value = _value(child, depth + 1)
        if (key := _key(child.tag)) and value not in ("", [], {}):
            found[key] = value
    return found


def _value(element: ElementTree.Element, depth: int) -> Any:
    if depth > _DEEPEST:
        return ""
    for child in element:
        if child.tag == f"{_RDF}Alt":
            texts = list(child)[:_MOST_PROPERTIES]
            texts.sort(key=lambda item: item.get(_LANGUAGE) != "x-default")
            return _value(texts[0], depth + 1) if texts else ""
        if child.tag in {f"{_RDF}Bag", f"{_RDF}Seq"}:
            return [_value(item, depth + 1) for item in list(child)[:_MOST_PROPERTIES]]
    if len(element) or any(_key(name) for name in element.attrib):
        wrapped = len(element) == 1 and element[0].tag == f"{_RDF}Description"
        return _properties(element[0] if wrapped else element, depth + 1)
    return text_of(element.text)


def _key(name: str) -> str:
    """`{namespace}Name` as `prefix:Name`; "" for RDF's and XML's own."""
    namespace, _, local = name.removeprefix("{").partition("}")
    prefix = _PREFIXES.get(namespace)
    return f"{prefix}:{local}" if prefix and local else ""


def _degrees(value: object, letters: str) -> float | None:
    found = _COORDINATE.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[4] not in letters:
        return None
    number = round(int(found[1]) + float(found[2]) / 60 + float(found[3] or 0) / 3600, 6)
    return -number if found[4] == letters[1] else number

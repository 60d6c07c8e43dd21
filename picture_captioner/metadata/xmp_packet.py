"""An XMP packet (ISO 16684-1) read and changed without losing anything that others put into it.

lxml keeps what it does not understand: namespaces, order, empty lists, comments. What stands
around the packet's root (processing instructions, padding) is kept as bytes. Values are looked for
in every form that XMP allows: an attribute or an element, of any rdf:Description.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from lxml import etree

from picture_captioner.metadata.xmp import encoding_of

NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "mediapro": "http://ns.iview-multimedia.com/mediapro/1.0/",
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "xml": "http://www.w3.org/XML/1998/namespace",
}
_OTHER_SPELLINGS = {"MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0"}
"""What exiftool makes of a namespace, whatever it changes in a photo."""
MOST_BYTES = 16 << 20
"""A sidecar with every setting of a raw converter has 0.3 MB; more than this is no sidecar."""

EMPTY = (
    b"<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>\n"
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>\n"
    b" <rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\n"
    b"  <rdf:Description rdf:about=''/>\n"
    b" </rdf:RDF>\n"
    b"</x:xmpmeta>\n"
    b"<?xpacket end='w'?>\n"
)

_ROOT = re.compile(rb"<(?:[\w.-]+:)?(?:xmpmeta|xapmeta|RDF)[\s>]")
_LISTS = ("Bag", "Seq", "Alt")


class XmpError(ValueError):
    """The bytes are no XMP packet that can be changed safely."""


class Region(NamedTuple):
    """A named area of a photo (Metadata Working Group): its middle and size, as shares of 1."""

    name: str
    kind: str
    x: float
    y: float
    width: float
    height: float


def tag(name: str) -> str:
    """`dc:subject` as lxml writes it."""
    prefix, _, local = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


class XmpPacket:
    """One packet. Names are written with the usual prefixes, whatever the packet calls them."""

    def __init__(self, data: bytes = EMPTY) -> None:
        """Read a packet.

        Raises:
            XmpError: it is too large, no XML, or no XMP.
        """
        if len(data) > MOST_BYTES:
            raise XmpError(f"it has {len(data):,} bytes, which no sidecar has")
        self._encoding = encoding_of(data)
        if self._encoding != "utf-8":
            try:
                data = data.decode(self._encoding).encode()
            except (UnicodeError, LookupError):
                raise XmpError(f"it is no text in {self._encoding}") from None
        start = _ROOT.search(data)
        if start is None:
            raise XmpError("there is no XMP in it")
        end = data.rfind(b">") + 1
        if (packet_end := data.rfind(b"<?xpacket", start.end())) > 0:
            end = data.rfind(b">", 0, packet_end) + 1
        self._before, self._after = data[: start.start()], data[end:]
        self._line_end = b"\r\n" if b"\r\n" in data[start.start() : end] else b"\n"
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, huge_tree=False, remove_blank_text=False
        )
        try:
            self._root = etree.fromstring(data[start.start() : end], parser)
        except etree.XMLSyntaxError as error:
            raise XmpError(f"it is no valid XML: {str(error)[:200]}") from None
        rdf = tag("rdf:RDF")
        found = self._root if self._root.tag == rdf else self._root.find(rdf)
        if found is None:
            raise XmpError("there is no rdf:RDF in it")
        self._rdf: Any = found

    def to_bytes(self) -> bytes:
        """The packet, with all that stood around it, in its encoding and with its line ends."""
        # lxml escapes what is outside ASCII unless it is told the encoding.
        root: bytes = etree.tostring(self._root, encoding="utf-8")
        whole = self._before + root.replace(b"\n", self._line_end) + self._after
        if self._encoding == "utf-8":
            return whole
        return whole.decode().encode(self._encoding, "xmlcharrefreplace")

    # --- reading ---

    def text(self, name: str) -> str | None:
        """A simple value, or of alternatives the default language's; None if there is none."""
        for description in self._descriptions():
            if (value := description.get(self._tag(name))) is not None:
                return str(value)
            for element in description.findall(self._tag(name)):
                items = self._items_of(element)
                if not items and element.find("*") is None:
                    return element.text or ""
                default = [i for i in items if i.get(tag("xml:lang")) == "x-default"]
                for item in default or items:
                    return item.text or ""
        return None

    def items(self, name: str) -> list[str]:
        """The values of a list; a simple value counts as a list of one."""
        for description in self._descriptions():
            if (value := description.get(self._tag(name))) is not None:
                return [str(value)]
            for element in description.findall(self._tag(name)):
                items = self._items_of(element)
                if not items and element.find("*") is None:
                    return [element.text] if element.text and element.text.strip() else []
                return [item.text or "" for item in items]
        return []

    def has(self, name: str) -> bool:
        """Whether the property is there, be it empty."""
        return any(
            description.get(self._tag(name)) is not None
            or description.find(self._tag(name)) is not None
            for description in self._descriptions()
        )

    def regions(self) -> list[Region]:
        """The named areas; those without a name or with numbers that make no sense are left out."""
        found = []
        for item in self._rdf.iterfind(f".//{tag('mwg-rs:RegionList')}//{tag('rdf:li')}"):
            area = item.find(f".//{tag('mwg-rs:Area')}")
            name, kind = _field(item, "mwg-rs:Name"), _field(item, "mwg-rs:Type") or ""
            if area is None or not name:
                continue
            try:
                x, y, width, height = (
                    float(_field(area, f"stArea:{side}", here=True) or "nan")
                    for side in ("x", "y", "w", "h")
                )
            except ValueError:
                continue
            if all(0 <= value <= 1 for value in (x, y, width, height)):
                found.append(Region(name, kind, x, y, width, height))
        return found

    # --- changing ---

    def set_default(self, name: str, value: str) -> None:
        """The text in the default language; what stands there in other languages stays."""
        for description in self._descriptions():
            if self._tag(name) in description.attrib:
                del description.attrib[self._tag(name)]
            for element in description.findall(self._tag(name)):
                for item in self._items_of(element):
                    if item.get(tag("xml:lang")) == "x-default":
                        item.text = value
                        return
        element = self._element(name)
        holder = element.find(tag("rdf:Alt"))
        if holder is None:
            element.text = None
            holder = etree.SubElement(element, tag("rdf:Alt"))
        item = etree.Element(tag("rdf:li"))
        item.text = value
        item.set(tag("xml:lang"), "x-default")
        holder.insert(0, item)
        self._indent(element)

    def add_items(self, name: str, values: Iterable[str], kind: str = "Bag") -> list[str]:
        """Append to a list what is not in it; what was appended is returned."""
        present = self.items(name)
        missing = [value for value in dict.fromkeys(values) if value not in present]
        if not missing:
            return []
        self.set_items(name, [*present, *missing], kind)
        return missing

    def set_items(self, name: str, values: Sequence[str], kind: str = "Bag") -> None:
        """Make the list hold these; items that stay keep their place and their attributes."""
        for description in self._descriptions():
            if self._tag(name) in description.attrib:
                del description.attrib[self._tag(name)]
        element = self._element(name)
        holder = next((h for k in _LISTS if (h := element.find(tag(f"rdf:{k}"))) is not None), None)
        if holder is None:
            element.text = None
            holder = etree.SubElement(element, tag(f"rdf:{kind}"))
        kept = [item for item in holder.findall(tag("rdf:li")) if (item.text or "") in values]
        for item in holder.findall(tag("rdf:li")):
            if item not in kept:
                holder.remove(item)
        present = {item.text or "" for item in kept}
        for value in values:
            if value not in present:
                etree.SubElement(holder, tag("rdf:li")).text = value
        self._indent(element)

    def remove(self, name: str) -> None:
        """Take the property out, and a Description that holds nothing any more."""
        for description in self._descriptions():
            description.attrib.pop(self._tag(name), None)
            for element in description.findall(self._tag(name)):
                _take_out(element)
        for description in self._descriptions()[1:]:
            if len(description) == 0 and set(description.attrib) <= {tag("rdf:about")}:
                _take_out(description)

    def remove_items(self, name: str, values: Iterable[str], *, keep_empty: bool = False) -> None:
        """Take these values out of a list; an empty one goes, unless it is to stay."""
        gone = set(values)
        left = [value for value in self.items(name) if value not in gone]
        if left or keep_empty:
            self.set_items(name, left)
        else:
            self.remove(name)

    def remove_default(self, name: str) -> None:
        """Take the default language's text out; without another language, the property."""
        for description in self._descriptions():
            for element in description.findall(self._tag(name)):
                for item in self._items_of(element):
                    if item.get(tag("xml:lang")) == "x-default":
                        _take_out(item)
                if not self._items_of(element):
                    self.remove(name)
                return
        self.remove(name)

    def add_regions(self, regions: Iterable[Region], width: int, height: int) -> list[Region]:
        """Append named areas of a photo of that size, unless one of that name is there already."""
        named = {region.name for region in self.regions()}
        missing = [region for region in regions if region.name not in named]
        if not missing:
            return []
        listed = self._rdf.find(f".//{tag('mwg-rs:RegionList')}")
        if listed is None:
            listed = self._new_regions(width, height)
        bag = next((h for k in _LISTS if (h := listed.find(tag(f"rdf:{k}"))) is not None), None)
        if bag is None:
            bag = etree.SubElement(listed, tag("rdf:Bag"))
        for region in missing:
            item = etree.SubElement(bag, tag("rdf:li"))
            inside = etree.SubElement(item, tag("rdf:Description"))
            inside.set(tag("mwg-rs:Name"), region.name)
            inside.set(tag("mwg-rs:Type"), region.kind)
            area = etree.SubElement(inside, tag("mwg-rs:Area"), nsmap=_prefix("stArea"))
            for side, value in zip("xywh", region[2:], strict=True):
                area.set(tag(f"stArea:{side}"), f"{value:.6g}")
            area.set(tag("stArea:unit"), "normalized")
        return missing

    def remove_regions(self, names: Iterable[str]) -> None:
        """Take the areas of these names out; without any left, the whole block."""
        gone = set(names)
        for item in list(self._rdf.iterfind(f".//{tag('mwg-rs:RegionList')}//{tag('rdf:li')}")):
            if _field(item, "mwg-rs:Name") in gone:
                _take_out(item)
        if not self._rdf.findall(f".//{tag('mwg-rs:RegionList')}//{tag('rdf:li')}"):
            self.remove("mwg-rs:Regions")

    def remove_namespaces(self, namespaces: Collection[str]) -> None:
        """Take all properties of these namespaces out."""
        for description in self._descriptions():
            for name in [n for n in description.attrib if etree.QName(n).namespace in namespaces]:
                del description.attrib[name]
            for element in list(description.iterchildren("*")):
                if etree.QName(element).namespace in namespaces:
                    _take_out(element)

    def _tag(self, name: str) -> str:
        """The property as lxml writes it, in the spelling of its namespace that stands here."""
        prefix, _, local = name.partition(":")
        other = f"{{{_OTHER_SPELLINGS.get(prefix, '')}}}{local}"
        if prefix in _OTHER_SPELLINGS and any(
            description.get(other) is not None or description.find(other) is not None
            for description in self._descriptions()
        ):
            return other
        return tag(name)

    def _descriptions(self) -> list[Any]:
        return list(self._rdf.findall(tag("rdf:Description")))

    def _items_of(self, element: Any) -> list[Any]:
        return [
            item
            for kind in _LISTS
            for holder in element.findall(tag(f"rdf:{kind}"))
            for item in holder.findall(tag("rdf:li"))
        ]

    def _element(self, name: str) -> Any:
        """The property's element, made if need be."""
        for description in self._descriptions():
            if (element := description.find(self._tag(name))) is not None:
                return element
        return self._fresh(name)

    def _fresh(self, name: str) -> Any:
        """A new element, in a Description that has the property's namespace, else the last."""
        for description in self._descriptions():
            for element in description.findall(self._tag(name)):
                description.remove(element)
        prefix = name.partition(":")[0]
        homes = self._descriptions()
        if not homes:
            home = etree.SubElement(self._rdf, tag("rdf:Description"))
            home.set(tag("rdf:about"), "")
            homes = [home]
        own = [home for home in homes if NAMESPACES[prefix] in home.nsmap.values()]
        home = (own or homes)[-1]
        element = etree.SubElement(home, self._tag(name), nsmap=_prefix(prefix))
        before = element.getprevious()
        if before is not None:  # indented like the others
            element.tail, before.tail = before.tail, home.text or "\n   "
        else:
            home.text, element.tail = "\n   ", "\n  "
        return element

    def _indent(self, element: Any) -> None:
        """Put a list of ours on lines of its own, one step deeper than the property."""
        before = element.getprevious()
        margin = (before.tail if before is not None else element.getparent().text) or "\n   "
        margin = "\n" + margin.rpartition("\n")[2]
        for holder in element:
            items = list(holder)
            element.text, holder.tail = margin + " ", margin
            holder.text = margin + "  " if items else None
            for item in items:
                item.tail = margin + "  "
            if items:
                items[-1].tail = margin + " "

    def _new_regions(self, width: int, height: int) -> Any:
        regions = self._fresh("mwg-rs:Regions")
        regions.set(tag("rdf:parseType"), "Resource")
        size = etree.SubElement(regions, tag("mwg-rs:AppliedToDimensions"), nsmap=_prefix("stDim"))
        size.set(tag("stDim:w"), str(width))
        size.set(tag("stDim:h"), str(height))
        size.set(tag("stDim:unit"), "pixel")
        return etree.SubElement(regions, tag("mwg-rs:RegionList"))


def _prefix(prefix: str) -> dict[str, str]:
    return {prefix: NAMESPACES[prefix]}


def _field(element: Any, name: str, *, here: bool = False) -> str | None:
    """A field of a structure: an attribute or element, of it or of what it holds."""
    for holder in [element] if here else element.iter():
        if (value := holder.get(tag(name))) is not None:
            return str(value)
        if (inside := holder.find(tag(name))) is not None and inside.text:
            return str(inside.text)
    return None


def _take_out(element: Any) -> None:
    """Remove an element, and with it the blank text that stood before it."""
    parent, before = element.getparent(), element.getprevious()
    if before is not None:
        before.tail = element.tail
    elif element.getnext() is None:
        parent.text = None
    parent.remove(element)

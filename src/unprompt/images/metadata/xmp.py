"""XMP properties as plain texts, read by expat's events: no tree is built, and a DOCTYPE is refused."""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

_LIMIT_BYTES = 4 * 2**20
_ELEMENT_LIMIT = 20_000
_EQUALS_LIMIT = 20_000  # an element's attributes are all parsed before it can be refused
_DEPTH_LIMIT = 64
_JUNK_BEHIND = expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RESOURCE = f"{_RDF} resource"  # the value of a property that is an address
_XML = "http://www.w3.org/XML/1998/namespace"


def read(document: bytes) -> Mapping[str, str]:
    """Read texts by the property's local name (`UserComment`, `CreatorTool`, ...); empty if the document is broken.

    Properties may be elements or attributes; of an `rdf:Alt` list, the first text counts. Entities cannot expand, since
    a DOCTYPE is an error before any entity is declared. What stands behind the document is ignored.
    """
    document = _in_utf8(document)
    if not document.startswith(b"<") or len(document) > _LIMIT_BYTES or document.count(b"=") > _EQUALS_LIMIT:
        return {}
    properties = _Properties()
    parser = expat.ParserCreate("utf-8", " ")  # names arrive as "namespace local"
    parser.buffer_text = True
    parser.StartElementHandler = properties.start
    parser.EndElementHandler = properties.end
    parser.CharacterDataHandler = properties.characters
    parser.StartDoctypeDeclHandler = properties.refuse
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        return properties.texts if error.code == _JUNK_BEHIND else {}
    except _RefusedError:
        return {}
    return properties.texts


def _in_utf8(document: bytes) -> bytes:
    """The document in UTF-8, without what stands around it; most are, some in UTF-16, or in Latin-1 by mistake."""
    if document[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = document.decode("utf-16", "replace")
    elif document[:2] in (b"<\x00", b"\x00<"):
        text = document.decode("utf-16-le" if document[:1] == b"<" else "utf-16-be", "replace")
    else:
        document = document[: document.rfind(b">") + 1]
        try:
            text = document.decode("utf-8")
        except UnicodeDecodeError:
            text = document.decode("latin-1")
    return text.strip("\x00\ufeff \t\r\n").encode("utf-8", "replace")


class _RefusedError(Exception):
    """The document contains something that no generator writes."""


class _Properties:
    """Collects the first text of each property."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._path: list[str] = []
        self._pieces: list[str] = []
        self._left = _ELEMENT_LIMIT

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._left -= 1 + len(attributes)
        if len(self._path) >= _DEPTH_LIMIT or self._left < 0:
            raise _RefusedError
        self._path.append(name)
        self._pieces.clear()
        for key, value in attributes.items():
            owner = name if key == _RESOURCE else key
            if value and not owner.startswith((_RDF, _XML)):
                self.texts.setdefault(_local(owner), value)

    def end(self, _name: str) -> None:
        text = "".join(self._pieces).strip()
        self._pieces.clear()
        owner = next((name for name in reversed(self._path) if not name.startswith(_RDF)), "")
        if text and owner:
            self.texts.setdefault(_local(owner), text)
        self._path.pop()

    def characters(self, text: str) -> None:
        self._pieces.append(text)

    def refuse(self, *_declaration: object) -> None:
        raise _RefusedError


def _local(name: str) -> str:
    return name.rpartition(" ")[2]

"""XMP properties as plain texts, read by expat's events: no tree is built, and a DOCTYPE is refused."""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

_LIMIT_CHARS = 2**20
_DEPTH_LIMIT = 64
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def read(document: str) -> Mapping[str, str]:
    """Read texts by the property's local name (`UserComment`, `CreatorTool`, ...); empty if the document is broken.

    Properties may be elements or attributes; of an `rdf:Alt` list, the first text counts. Entities cannot expand, since
    a DOCTYPE is an error before any entity is declared.
    """
    document = document.strip("\x00\ufeff \t\r\n")
    if not document.startswith("<") or len(document) > _LIMIT_CHARS:
        return {}
    properties = _Properties()
    parser = expat.ParserCreate("utf-8", " ")  # names arrive as "namespace local"
    parser.buffer_text = True
    parser.StartElementHandler = properties.start
    parser.EndElementHandler = properties.end
    parser.CharacterDataHandler = properties.characters
    parser.StartDoctypeDeclHandler = properties.refuse
    try:
        parser.Parse(document.encode("utf-8", "replace"), True)
    except (expat.ExpatError, _RefusedError):
        return {}
    return properties.texts


class _RefusedError(Exception):
    """The document contains something that no generator writes."""


class _Properties:
    """Collects the first text of each property."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._path: list[str] = []
        self._pieces: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) >= _DEPTH_LIMIT:
            raise _RefusedError
        self._path.append(name)
        self._pieces.clear()
        for key, value in attributes.items():
            self.texts.setdefault(_local(key), value)

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

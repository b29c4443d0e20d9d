"""XMP: properties in all spellings, what stands around the document, and what is refused."""

import pytest
from layouts import xmp

from unprompt.images.metadata.xmp import read

RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"'
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def document(inner: str, attributes: str = "") -> str:
    description = f"<rdf:Description {attributes}>{inner}</rdf:Description>"
    return f'<rdf:RDF {RDF} xmlns:iptc="http://iptc.org/">{description}</rdf:RDF>'


@pytest.mark.parametrize(
    ("inner", "attributes"),
    [
        ("<dc:description>a fox</dc:description>", ""),
        ("", 'dc:description="a fox"'),
        ('<dc:description><rdf:Alt><rdf:li xml:lang="x-default">a fox</rdf:li></rdf:Alt></dc:description>', ""),
        ("<dc:description><rdf:Seq><rdf:li>a fox</rdf:li><rdf:li>a cat</rdf:li></rdf:Seq></dc:description>", ""),
        ("<dc:description>\n   a fox\n</dc:description>", 'rdf:about="x"'),
        ("<dc:description><![CDATA[a fox]]></dc:description>", ""),
    ],
)
def test_a_property_as_element_attribute_or_list(inner: str, attributes: str) -> None:
    assert read(document(inner, attributes).encode()) == {"description": "a fox"}


def test_a_property_that_is_an_address() -> None:
    inner = f'<iptc:DigitalSourceType rdf:resource="{SOURCE}"/>'
    assert read(document(inner).encode()) == {"DigitalSourceType": SOURCE}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(encoding: str) -> None:
    assert read(xmp(description="déjà vu 狐").encode(encoding)) == {"description": "déjà vu 狐"}


def test_latin_letters_by_mistake() -> None:
    assert read(xmp(description="déjà vu").encode("latin-1")) == {"description": "déjà vu"}


@pytest.mark.parametrize("behind", [b"\0" * 50, b" " * 50 + b"\n", b"\x01\xff\xfe", b"garbage"])
def test_what_stands_behind_the_document(behind: bytes) -> None:
    assert read(xmp(description="a fox").encode() + behind) == {"description": "a fox"}


@pytest.mark.parametrize("number", [19_000, 21_000])
def test_no_more_elements_than_the_limit(number: int) -> None:
    found = read(document("<dc:a/>" * number + "<dc:b>a fox</dc:b>").encode())
    assert found == ({"b": "a fox"} if number < 20_000 else {})


@pytest.mark.parametrize("number", [19_000, 21_000])
def test_no_more_attributes_than_the_limit(number: int) -> None:
    attributes = " ".join(f'a{index}="b"' for index in range(number))
    assert bool(read(document(f"<dc:a {attributes}/>").encode())) == (number < 20_000)

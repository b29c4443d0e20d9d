import random

import pytest
from fuzz import built_graphs, built_metadata, built_pictures, built_places, seeds
from fuzz.chunks import join, mend_checksums, split
from fuzz.inputs import TARGETS, make
from fuzz.mutations import LARGEST_BYTES, MUTATIONS
from fuzz.targets import FORMATS, TOOLS

from unprompt.images.decode import Picture, decode
from unprompt.images.metadata.fields import extract
from unprompt.images.metadata.reader import find
from unprompt.images.sources import image_refs

PLACES = [file for kind in (seeds.boxes, seeds.elements, seeds.blocks) for files in kind().values() for file in files]
REAL = [file for kind in (seeds.pictures, seeds.metadata) for files in kind().values() for file in files] + PLACES
# Each once, in an order that all processes of pytest-xdist share: a set of functions has another in each.
BUILDERS = dict.fromkeys(
    (
        *(*built_metadata.BUILDERS, *built_pictures.BUILDERS, *built_graphs.BUILDERS),
        *(*built_places.BOXES, *built_places.ELEMENTS, *built_places.BLOCKS),
    )
)


def test_every_picture_to_start_from_can_be_decoded():
    for name, files in seeds.pictures().items():
        for file in files:
            (ref,) = image_refs(file)
            found = decode(ref)
            assert isinstance(found, Picture), (name, found)
            assert found.format == name
    assert seeds.pictures().keys() == FORMATS


def test_every_tool_is_among_the_metadata_to_start_from():
    tools = {found.tool for files in seeds.metadata().values() for file in files if (found := find(file))}
    assert tools >= TOOLS - {"Forge", "SD.Next", "RuinedFooocus"}


def test_every_place_to_start_from_says_something():
    assert all(extract(file) for file in PLACES)


def test_a_number_names_an_input():
    for target in TARGETS:
        assert make(target, 1, 2) == make(target, 1, 2)
        assert len({make(target, seed, index) for seed in (1, 2) for index in range(30)}) > 55


def test_chunks_are_the_file_again():
    for file in REAL:
        head, *chunks = split(file)
        assert join(head, chunks) == file
        assert mend_checksums(file) == file
        assert chunks


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_mutations_bear_any_bytes(mutation):
    chance = random.Random(1)
    for file in (
        *REAL[::5],
        b"a",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8",
        b"GIF89a",
        b"RIFF",
        b"MM\0*",
        b"\0\0\0\1ftyp",
        REAL[0] * 9,
    ):
        for _ in range(5):
            assert isinstance(mutation(chance, file, REAL[1]), bytes)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_builders_keep_to_a_size(build):
    chance = random.Random(1)
    assert max(len(build(chance)) for _ in range(50)) < 10 * LARGEST_BYTES

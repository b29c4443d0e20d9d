"""The lists of terms that the package ships: what a program can check of them."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files
from itertools import chain

import pytest

# How many terms a list holds, at least and at most.
SIZES = {
    "mediums": (230, 300),
    "movements": (180, 250),
    "styles": (420, 500),
    "lighting": (220, 280),
    "camera": (300, 380),
    "composition": (180, 230),
    "colour": (270, 330),
    "materials": (270, 330),
    "quality": (130, 180),
    "settings": (320, 390),
    "mood": (180, 230),
    "rendering": (170, 220),
    "negative": (220, 280),
}
NEGATIVE = "negative"
# After the maker's name a kind of camera or film is written as its maker writes it.
MAKERS = (
    "Arri Canon Cinestill Contax Fujifilm GoPro Hasselblad Holga Ilford Kodak Leica Mamiya Nikon Pentax Rolleiflex Sony"
)
# Parts of one name are tied by underscores, here and below.
PROPER_NAMES = """
African American Antarctica Arthurian Aztec Celtic Chinese Christmas Cinemascope Damascus Day_of_the_Dead Dutch Edison
Egypt Egyptian Ektachrome Europe Franco-Belgian French Greece Greek Halloween Harajuku Hollywood Hong_Kong IMAX Iceland
India Italian Japan Japanese Jouy Kevlar Kodachrome London Mars Mexican Milky_Way Morocco New_York_City Norse Paris
Prussian Roman Rome Scandinavian Slavic Soviet Swiss Tokyo Tyndall Venice Victorian Vistavision around_Earth
imperial_China the_Alps the_Himalayas the_Sahara
"""
# Those whom prompts name most: artists, photographers, directors; then studios and brands; then sites.
NAMES = """
adams aivazovsky alma-tadema almodovar amano anderson araki arbus arcimboldo argento avedon banksy basquiat beeple
beksinski beksiński bierstadt blake boccioni bonnard bosch botticelli boucher bouguereau bourgeois brancusi braque
bruegel brueghel burne-jones burton caillebotte cameron canaletto caravaggio cartier-bresson cassatt cezanne cézanne
chagall chardin constable corot courbet cranach crewdson cronenberg dali dalí daumier degas delacroix derain ditko
donatello dore doré duchamp dulac durer dürer eggleston eisenstein ernst escher fellini fragonard frazetta freud
friedrich frutiger gaudi gaudí gauguin gentileschi giacometti giger giorgione giotto godard gogh goya gurney haring
herzog hiroshige hitchcock hockney hokusai holbein hopper ingres jodorowsky kahlo kandinsky karsh kinkade kirby kirchner
klee klein klimt kokoschka kubrick kurosawa kusama kuvshinov leibovitz leighton leonardo levitan lichtenstein lindbergh
magritte malevich manet mapplethorpe matisse mccurry michelangelo millais miro miró miyazaki modigliani moebius mondrian
monet moore morandi morisot mucha munch murakami newton nolan o'keeffe otomo parrish picasso piranesi pissarro pollock
poussin rackham raphael rauschenberg rembrandt renoir repin rivera rockwell rodin rossetti rothko rousseau rubens
rutkowski salgado sargent schiele scorsese seurat shinkai sisley sorayama sorolla spielberg steichen stieglitz
tarantino tarkovsky tiepolo tiffany tintoretto titian toriyama toulouse-lautrec turner utamaro vallejo vasarely
velazquez velázquez vermeer vinci vuillard warhol waterhouse weston whistler wyeth zorn artgerm loish sakimichan wlop
disney dreamworks ghibli hasbro lego lucasfilm marvel nintendo pixar playmobil pokemon pokémon
500px artstation behance cgsociety civitai danbooru deviantart dribbble flickr gelbooru getty imgur instagram lexica
midjourney patreon pinterest pixiv polycount reddit shutterstock tumblr unsplash wallhaven wikimedia youtube
"""
UNWELCOME = "nsfw nude naked sexy erotic topless lingerie porn gore gory bloody bloodied corpse severed mutilated"
TERM = re.compile(r"[0-9a-zâéüōA-Z]+(?:[ \-'/.:][0-9a-zâéüōA-Z]+)*")


def _lines(name: str) -> list[str]:
    data = (files("unprompt") / "vocabulary" / "lists" / f"{name}.txt").read_bytes()
    text = data.decode("utf-8")
    assert text.endswith("\n")
    assert "\r" not in text
    return text.removesuffix("\n").split("\n")


def _terms(name: str) -> list[str]:
    return [line for line in _lines(name) if not line.startswith("#")]


def _all_terms() -> list[str]:
    return list(chain.from_iterable(_terms(name) for name in SIZES))


def _held(term: str, names: str) -> list[str]:
    """Those of the names that stand in the term as whole words, whatever their case."""
    spoken = [name.replace("_", " ") for name in names.split()]
    return [name for name in spoken if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", term, re.IGNORECASE)]


def test_there_are_these_lists_and_no_others() -> None:
    folder = files("unprompt") / "vocabulary" / "lists"
    assert sorted(entry.name for entry in folder.iterdir()) == sorted(f"{name}.txt" for name in SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_a_list_says_what_it_is_and_holds_as_many_terms_as_it_should(name: str) -> None:
    lines = _lines(name)
    smallest, largest = SIZES[name]
    assert re.fullmatch(rf"# {name.capitalize()}: .+\.", lines[0])
    assert smallest <= len(_terms(name)) <= largest


def test_all_lists_together_hold_a_few_thousand_terms() -> None:
    assert 3000 <= len(_all_terms()) <= 4000


@pytest.mark.parametrize("name", SIZES)
def test_a_term_is_one_to_seven_plain_words_without_a_comma(name: str) -> None:
    assert [term for term in _terms(name) if not TERM.fullmatch(term) or len(term.split()) > 7] == []


def test_no_term_stands_twice_be_it_in_one_list_or_in_two() -> None:
    counts = Counter(term.casefold() for term in _all_terms())
    assert [term for term, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("name", SIZES)
def test_only_proper_names_have_capitals_and_they_always_have_them(name: str) -> None:
    if name in ("movements", "rendering"):
        assert [term for term in _terms(name) if term != term.lower()] == []
        return
    makers = MAKERS.split()
    for term in _terms(name):
        if term.split()[0] in makers:
            continue
        rest = term
        for proper in _held(term, PROPER_NAMES):
            assert proper in term, f"{term}: {proper} is a proper name"
            rest = rest.replace(proper, "")
        assert rest == rest.lower(), f"{term}: a capital in what is no proper name"


def test_a_medium_begins_with_the_article_that_it_is_spoken_with() -> None:
    vowels = re.compile(r"an (?:[aeiou]|x-)")
    consonants = re.compile(r"a (?![aeiou]|x-)")
    assert [term for term in _terms("mediums") if not vowels.match(term) and not consonants.match(term)] == []


@pytest.mark.parametrize("name", SIZES)
def test_no_list_names_an_artist_a_studio_a_brand_or_a_site(name: str) -> None:
    assert {term: held for term in _terms(name) if (held := _held(term, NAMES))} == {}


@pytest.mark.parametrize("name", SIZES)
def test_no_list_holds_adult_or_cruel_words(name: str) -> None:
    assert {term: held for term in _terms(name) if (held := _held(term, UNWELCOME))} == {}


def test_whole_words_are_found_whatever_their_case_and_parts_of_words_are_not() -> None:
    assert _held("in the style of Monet", "monet style of_monet") == ["monet", "style", "of monet"]
    assert _held("a portrait of Frida Kahlo's garden", "kahlo") == ["kahlo"]
    assert _held("pre-raphaelite", "raphael pre") == []


def test_what_pictures_should_not_be_is_nowhere_among_what_they_should_be() -> None:
    positive = {term.casefold() for name in SIZES if name != NEGATIVE for term in _terms(name)}
    assert [term for term in _terms(NEGATIVE) if term.casefold() in positive] == []

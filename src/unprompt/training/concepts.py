"""The concepts that a regressor learns: words and phrases of its texts, and ImageNet's classes in plain words."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unprompt.durable import replace_file
from unprompt.models.networks.torchvision_cure import cure_torchvision
from unprompt.text.content_words import content_words, is_function_word, stem, word_spans, words_of
from unprompt.training.recipe import Concepts

NAME_SHARE = 0.3
"""A word of which a larger share stands in parts with "by" is taken for an artist's name."""
LEAST_BOND = 0.35
"""Least normalised mutual information of a phrase's two words. Source: Bouma, "Normalized (pointwise) mutual
information in collocation extraction" (2009)."""
CERTAIN = 255
"""The label of a concept that a text names; 0 is that of all others."""
CLASS_CERTAIN, CLASS_LABEL = 0.5, 0.9
"""A class of at least this probability is a label, of this value at most: the network that says so may be wrong."""

_PARTS = re.compile(r"[,.;:|]")


@dataclass(frozen=True)
class ConceptList:
    """Concepts by their stems; `names` are as people write them, `classes` those of ImageNet that show each."""

    names: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    classes: dict[int, list[int]] = field(default_factory=dict)

    def add(self, name: str, key: str = "") -> int:
        """The place of a concept, which is new or has the same stems as a known one; `key` are these, if known."""
        key = key or _key(name)
        if key not in self.places:
            self.places[key] = len(self.names)
            self.names.append(name)
        return self.places[key]

    def write(self, path: Path) -> None:
        """Write the names, one a line, if there are any."""
        if self.names:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, ("\n".join(self.names) + "\n").encode())

    def labels(
        self, texts: Sequence[Sequence[str]], classes: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.uint8]:
        """Labels (pictures, concepts) of 0 to 255, from texts and class probabilities (pictures, 1000)."""
        labels = np.zeros((len(texts), len(self.names)), np.uint8)
        for row, several in enumerate(texts):
            for key in {key for text in several for key in (*_stems(text), *map(" ".join, _pairs(text)))}:
                if (place := self.places.get(key)) is not None:
                    labels[row, place] = CERTAIN
        if classes is None:
            return labels
        for place, shown in self.classes.items():
            probability = np.minimum(classes[:, shown].sum(axis=1), 1)
            certain = np.where(probability >= CLASS_CERTAIN, probability * CLASS_LABEL * CERTAIN, 0)
            labels[:, place] = np.maximum(labels[:, place], certain.astype(np.uint8))
        return labels


def find_concepts(texts: Sequence[Sequence[str]], groups: Sequence[int], options: Concepts) -> ConceptList:
    """The concepts in the texts of pictures, of which each has one or more, and is in a group of similar prompts.

    A word has to occur in `least_groups` groups, a phrase of two words in `phrase_groups`; names of artists are left
    out. With `classes`, ImageNet's classes follow, in plain words.
    """
    if not options.least_groups:
        return ConceptList()
    seen: dict[str, set[int]] = defaultdict(set)
    pairs: dict[tuple[str, str], set[int]] = defaultdict(set)
    for several, group in zip(texts, groups, strict=True):
        for text in several:
            for key in _stems(text):
                seen[key].add(group)
            for pair in _pairs(text):
                pairs[pair].add(group)
    distinct = sorted({text for several in texts for text in several})
    forms, names = _forms(distinct), names_of_artists(distinct)
    words = {key for key, where in seen.items() if len(where) >= options.least_groups and key not in names}
    phrases = {
        pair: len(where)
        for pair, where in pairs.items()
        if len(where) >= options.phrase_groups
        and words.issuperset(pair)
        and _bond(len(where), len(seen[pair[0]]), len(seen[pair[1]]), len(set(groups))) >= LEAST_BOND
    }
    concepts = ConceptList()
    for key in sorted(words, key=lambda key: (-len(seen[key]), key)):
        concepts.add(forms[key])
    written = _phrase_forms(distinct)
    for pair in sorted(phrases, key=lambda pair: (-phrases[pair], pair)):
        concepts.add(written[pair], " ".join(pair))
    if options.classes:
        for number, several in enumerate(imagenet_words()):
            for name in several:
                concepts.classes.setdefault(concepts.add(name), []).append(number)
    return concepts


def imagenet_words() -> list[list[str]]:
    """ImageNet's classes in plain words, the general ones last: "tabby" is a cat, "ruddy turnstone" a bird."""
    cure_torchvision()
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    names = [[info.index_to_description(number).split(",")[0].lower()] for number in range(info.num_classes())]
    for line in resources.files(__package__).joinpath("imagenet_words.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        numbers, _, words = line.partition(" ")
        first, _, last = numbers.partition("-")
        for number in range(int(first), int(last or first) + 1):
            names[number] = [word.strip() for word in words.split(",")]
    return names


def _key(name: str) -> str:
    return " ".join(map(stem, words_of(name))) or name


def _stems(text: str) -> Iterator[str]:
    return map(stem, content_words(text))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """The stems of each two content words that follow each other in a part of a text."""
    return (pair for pair, _ in _written_pairs(text))


def _written_pairs(text: str) -> Iterator[tuple[tuple[str, str], str]]:
    """The same, each with how it is written: shorter words may stand between, as in "depth of field"."""
    for part in _PARTS.split(text.lower()):
        for (start, middle), (next_start, end) in pairwise(word_spans(part)):
            one, other = part[start:middle], part[next_start:end]
            if not (is_function_word(one) or is_function_word(other)):
                yield (stem(one), stem(other)), " ".join(part[start:end].split())


def _forms(texts: Iterable[str]) -> Mapping[str, str]:
    """The most frequent form of each stem; of equally frequent ones the first by the alphabet."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        for word in content_words(text):
            counts[stem(word)][word] += 1
    return {key: min(found, key=lambda word: (-found[word], word)) for key, found in counts.items()}


def _phrase_forms(texts: Iterable[str]) -> Mapping[tuple[str, str], str]:
    """As each phrase is written most often: "parking lot", though of the one word "park" is the more frequent form."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for text in texts:
        for pair, written in _written_pairs(text):
            counts[pair][written] += 1
    return {key: min(found, key=lambda words: (-found[words], words)) for key, found in counts.items()}


def names_of_artists(texts: Iterable[str]) -> set[str]:
    """The stems of words of which many stand in parts of texts with "by"."""
    everywhere: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for text in texts:
        for part in text.lower().split(","):
            stems = set(_stems(part))
            everywhere.update(stems)
            if " by " in f" {part} ":
                named.update(stems)
    return {key for key, count in named.items() if count >= NAME_SHARE * everywhere[key]}


def _bond(together: int, one: int, other: int, all_groups: int) -> float:
    """The normalised mutual information of two words from the numbers of groups in which they occur; -1 to 1."""
    share = together / all_groups
    return math.log(share * all_groups**2 / (one * other)) / -math.log(share) if share < 1 else 1.0

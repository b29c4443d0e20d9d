"""The interrogator: finds the terms of a vocabulary that match a picture, with a two-tower model, and words the answer.

Source: CLIP Interrogator 0.6.0; given the same weights, lists and captions, the answers are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from unprompt.errors import DataError, PictureError
from unprompt.images.decode import Picture, decode
from unprompt.images.ref import Input
from unprompt.images.sources import image_refs
from unprompt.interrogation.captions import EMBEDDED, Captioner, open_captioner
from unprompt.interrogation.interrogation import Interrogation, Mode, Settings
from unprompt.interrogation.lists import Lists
from unprompt.interrogation.sentence import fitted
from unprompt.interrogation.writer import Writer, used_lists
from unprompt.models.store.weights import HUB
from unprompt.prediction import Failure, Term
from unprompt.progress import Step
from unprompt.taggers.opening import open_tagger
from unprompt.taggers.spelling import Spelling
from unprompt.taggers.tagger import TagWords
from unprompt.threads import check_threads
from unprompt.towers.opening import open_towers
from unprompt.towers.two_tower import TwoTower
from unprompt.vocabulary.tables import default_cache
from unprompt.vocabulary.vocabulary import Vocabulary, load_vocabulary


class Interrogator:
    """Writes prompts for pictures with a two-tower model, a vocabulary and a captioner.

    `cache` is the folder for the vectors of term lists; None keeps them in memory only. The tags of a `tagger` are
    further terms for the chains of mode "best". Models are loaded when they are first needed, and errors in loading
    them are raised then. Raises DataError if the vocabulary has no positive term.
    """

    def __init__(
        self,
        towers: TwoTower,
        vocabulary: Vocabulary,
        captioner: Captioner,
        cache: Path | None = None,
        tagger: TagWords | None = None,
    ) -> None:
        if not vocabulary.positive:
            raise DataError(f"expected a vocabulary with terms, found none in {vocabulary.name}; leave out less of it")
        self.towers = towers
        self.captioner = captioner
        self.tagger = tagger
        self.lists = Lists(towers, vocabulary, cache)

    @classmethod
    def from_pretrained(
        cls,
        clip: str = "embedded",
        *,
        weights: str = HUB,
        vocabulary: Sequence[str] = ("unprompt",),
        without: Sequence[str] = (),
        exclude: str | None = None,
        caption: str = EMBEDDED,
        tagger: str | None = None,
        threads: int = 0,
    ) -> Interrogator:
        """Create an interrogator from names; vectors of term lists go into the user's cache.

        Arguments and errors are those of `open_towers`, `load_vocabulary`, `open_captioner` and `open_tagger`; negative
        `threads` raise ValueError.
        """
        check_threads(threads)
        return cls(
            open_towers(clip, weights=weights, threads=threads),
            load_vocabulary(vocabulary, without=without, exclude=exclude),
            open_captioner(caption, threads),
            default_cache(),
            None if tagger is None else TagWords(open_tagger(tagger, threads=threads), Spelling()),
        )

    @property
    def shorter_side(self) -> int | None:
        """The resolution it needs, as pixels of the shorter side; None for the full resolution."""
        own = () if self.tagger is None else (self.tagger.tagger.shorter_side,)
        sides = (self.towers.shorter_side, self.captioner.shorter_side, *own)
        return None if None in sides else max(side for side in sides if side is not None)

    def identities(self) -> Mapping[str, str]:
        """All that determines an answer besides the settings: models and vocabulary by name, each with a hash."""
        vocabulary = self.lists.vocabulary
        own = {f"vocabulary {vocabulary.name}": vocabulary.identity}
        tagger = {} if self.tagger is None else self.tagger.tagger.identities()
        return {**self.towers.identities(), **self.captioner.identities(), **tagger, **own}

    def interrogate(
        self, picture: Input, mode: Mode = "best", *, caption: str | None = None, settings: Settings | None = None
    ) -> Interrogation:
        """The answer for one picture: a path, bytes, an open file, a Pillow picture, an array or a tensor.

        `caption` replaces the captioner's sentence; `mode` replaces the mode of `settings`. Raises PictureError if the
        picture cannot be read, ValueError if the input holds more than one.
        """
        chosen = replace(settings or Settings(), mode=mode)
        captions = None if caption is None else [caption]
        (answer,) = self.interrogate_pictures([self.read(picture)], chosen, captions)
        return answer

    def interrogate_pictures(
        self, pictures: Sequence[Picture], settings: Settings, captions: Sequence[str] | None = None
    ) -> list[Interrogation]:
        """The answers for a batch of pictures; none of them depends on the other pictures."""
        if not pictures:
            return []
        limit = min(settings.max_tokens or self.towers.longest, self.towers.longest)
        if settings.mode == "negative":
            captions = [""] * len(pictures)
        elif captions is None:
            captions = self.captioner.captions(pictures)
        captions = [fitted(caption.strip(" ,"), self.towers.count_tokens, limit) for caption in captions]
        tags = self.tagger.words(pictures) if self.tagger is not None and settings.mode == "best" else ()
        writer = Writer(self.towers, self.lists, pictures, captions, settings, limit, tags)
        texts = writer.texts(settings.mode)
        if settings.gains:
            texts = writer.measured(texts)
        wanted = settings.negative and settings.mode != "negative"
        negatives = writer.texts("negative") if wanted else [None] * len(pictures)
        return [
            Interrogation(
                text=found.text,
                origin=found.origin,
                caption=caption,
                terms=found.terms,
                similarity=found.similarity,
                negative_prompt=None if negative is None else negative.text,
            )
            for found, caption, negative in zip(texts, captions, negatives, strict=True)
        ]

    def ranked(self, picture: Picture, count: int) -> dict[str, list[Term]]:
        """The `count` nearest terms of each positive list, best first."""
        image = self.towers.encode_images([picture])
        return {
            category.name: self.lists.ranked([category], image, count)[0] for category in self.lists.vocabulary.positive
        }

    def prepare(self, step: Step, settings: Settings | None = None) -> None:
        """Compute the vectors of lists now, or read them from the cache; `step` reports the progress.

        With `settings`, only of the lists that their texts use.
        """
        categories = self.lists.vocabulary.categories if settings is None else used_lists(self.lists, settings)
        self.lists.prepare(categories, step)

    def read(self, picture: Input) -> Picture:
        """Decode one picture at the resolution that the models need.

        Raises PictureError if it cannot be read, ValueError if the input holds more than one.
        """
        refs = list(image_refs(picture))
        if len(refs) != 1:
            raise ValueError(f"expected one picture, found {len(refs)}")
        found = decode(refs[0], shorter_side=self.shorter_side, read_metadata=False)
        if isinstance(found, Failure):
            raise PictureError(found.kind, f"{found.source}: {found.message}")
        return found

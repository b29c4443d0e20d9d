"""Options of the commands that compare pictures with texts: by which model, and with which terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unprompt.models.store.weights import HUB

if TYPE_CHECKING:
    from unprompt.towers.two_tower import TwoTower
    from unprompt.vocabulary.vocabulary import Vocabulary

Weights: TypeAlias = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="FILE",
        show_default=False,
        help="Weights of the CLIP model, a safetensors file. Default: from the hub or its cache.",
    ),
]
TermCache: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cache", metavar="DIR", help="Folder for the vectors of terms. Default: unprompt/terms in the user's cache."
    ),
]


def split_names(names: list[str] | None) -> list[str] | None:
    """Names that were given one by one, or several with commas between them."""
    parts = [part.strip() for name in names or () for part in name.split(",")]
    return [part for part in parts if part] or None


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """The model that compares pictures with texts."""

    clip: Annotated[
        str,
        typer.Option(
            "--clip",
            metavar="NAME",
            help="The model that compares pictures with texts: embedded, or one of open_clip such as ViT-L-14.openai.",
        ),
    ] = "embedded"
    weights: Weights = HUB

    def towers(self, threads: int) -> TwoTower:
        """The model, opened. Raises as `open_towers` does."""
        from unprompt.towers.opening import open_towers

        return open_towers(self.clip, weights=self.weights, threads=threads)


@dataclass(frozen=True, kw_only=True)
class VocabularyOptions:
    """The terms that pictures are compared with."""

    vocabulary: Annotated[
        list[str] | None,
        typer.Option(
            "--vocabulary",
            metavar="NAME|DIR|FILE",
            help="Lists of terms: unprompt (the default), clip-interrogator if that package is installed, a folder of "
            ".txt files, or one file. May be repeated; the lists are joined.",
        ),
    ] = None
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            metavar="LIST,...",
            callback=split_names,
            help="Lists of the vocabulary to leave out, such as artists,sites. Without artists, flavors that name an "
            "artist go too.",
        ),
    ] = None
    exclude: Annotated[
        str | None,
        typer.Option(
            "--exclude",
            metavar="FILE",
            help="Words and phrases, one per line. Terms in which one of them stands as whole words are left out.",
        ),
    ] = None

    def load(self) -> Vocabulary:
        """The vocabulary. Raises as `load_vocabulary` does."""
        from unprompt.vocabulary.vocabulary import UNPROMPT, load_vocabulary

        sources = self.vocabulary or (UNPROMPT,)
        return load_vocabulary(sources, without=self.without or (), exclude=self.exclude)

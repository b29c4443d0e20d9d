"""`unprompt interrogate`: texts out of a caption and the terms of a vocabulary that go with a picture best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unprompt.cli.answering import AnsweringOptions, answer
from unprompt.cli.clip_options import ClipOptions, TermCache, VocabularyOptions
from unprompt.cli.options import option_groups
from unprompt.cli.progress import Steps
from unprompt.cli.terminal import return_memory
from unprompt.errors import DataError
from unprompt.interrogation.interrogation import MODES, Mode

if TYPE_CHECKING:
    from unprompt.unprompter import Unprompter

_NAME = "interrogate"
_TABLES_ALONE = "--terms shows tables and writes no answers; omit the options that say how these are written"
_BOTH = "{prompt} Negative prompt: {negative_prompt}"
"""A text that says both, as AUTOMATIC1111 writes them."""


@option_groups
def interrogate(
    *,
    mode: Annotated[
        Mode,
        typer.Option(
            "--mode",
            metavar="|".join(MODES),
            help="What follows the caption: the best terms of all lists (fast) or of each list (classic); whichever is "
            "nearest of these and a chain of terms (best); a medium, a movement and three flavors (published); nothing "
            "(caption). Or what the picture is least like (negative).",
        ),
    ] = "best",
    clip: ClipOptions,
    caption: Annotated[
        str,
        typer.Option(
            "--caption",
            metavar="TEXT|MODEL",
            help="What describes the pictures: embedded, a captioner such as blip-large, ofa-base or local:FOLDER, or "
            "one text for all pictures; '' for no caption.",
        ),
    ] = "embedded",
    tagger: Annotated[
        str | None,
        typer.Option(
            "--tagger",
            metavar="NAME",
            help="A tagger, such as wd-vit-tagger-v3, whose tags are further words for mode best.",
        ),
    ] = None,
    vocabulary: VocabularyOptions,
    negative: Annotated[
        bool, typer.Option("--negative", help="Also say what each picture is least like, as a negative prompt.")
    ] = False,
    terms: Annotated[
        bool, typer.Option("--terms", help="Show tables of the terms of the text and the best terms of each list.")
    ] = False,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Terms per list in these tables.")] = 10,
    min_terms: Annotated[
        int, typer.Option("--min-terms", metavar="N", min=0, help="The fewest terms that a chain tries.")
    ] = 8,
    max_terms: Annotated[
        int, typer.Option("--max-terms", metavar="N", min=1, help="The most terms in a chain or fast text.")
    ] = 32,
    candidates: Annotated[
        int, typer.Option("--candidates", metavar="N", min=1, help="Terms that a chain chooses from.")
    ] = 2048,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens", metavar="N", min=1, help="The most tokens in a text. Default: what the model reads, 75."
        ),
    ] = None,
    cache: TermCache = None,
    options: AnsweringOptions,
) -> None:
    """Describe pictures by the terms that go with them best, as CLIP Interrogator does.

    One picture gives its text; several give one line each: the path, a tab, the text. A prompt that the file itself
    holds is ignored. Models of open_clip need the extra [torch].
    """
    outputs = options.outputs
    if terms and outputs.template is not None:
        raise DataError(_TABLES_ALONE)
    if negative and mode != "negative" and outputs.template is None:
        outputs = replace(outputs, template=_BOTH)
    phrasing = None
    if outputs.template is not None:
        from unprompt.output.phrasing import Phrasing

        phrasing = Phrasing(outputs.template)
    outputs.check(options.pictures.paths, in_parts=options.in_parts)
    options.sharding.check(outputs, options.pictures.paths)
    options.clustering.check(outputs, options.pictures.paths, in_shards=options.sharding.asked)
    if terms and (outputs.format or outputs.output or outputs.sidecar or outputs.failures):
        raise DataError(_TABLES_ALONE)
    return_memory()
    unprompter = _unprompter(
        {
            "model": clip.clip,
            "weights": clip.weights,
            "mode": mode,
            "caption": caption,
            "tags": None if tagger is None else {"model": tagger},
            "vocabulary": vocabulary.vocabulary,
            "without": vocabulary.without,
            "exclude": vocabulary.exclude,
            "cache": cache,
            "negative": negative,
            "gains": terms or outputs.format is not None or (outputs.output is not None and not outputs.sidecar),
            "min_terms": min_terms,
            "max_terms": max_terms,
            "candidates": candidates,
            "max_tokens": max_tokens,
        },
        options.threads,
    )
    if terms:
        raise typer.Exit(_show_terms(unprompter, options, top))
    raise typer.Exit(answer(replace(options, outputs=outputs), unprompter, phrasing, ignore_metadata=True))


def _unprompter(options: Mapping[str, Any], threads: int) -> Unprompter:
    """One member, whose text is the answer; None stands for a default."""
    from unprompt.presets import read_preset, to_toml
    from unprompt.unprompter import Unprompter

    given = {name: value for name, value in options.items() if value is not None}
    text = to_toml({"members": [{"kind": "interrogator", **given}]})
    return Unprompter(read_preset(text, _NAME), threads=threads)


def _show_terms(unprompter: Unprompter, options: AnsweringOptions, top: int) -> int:
    from unprompt.cli.term_tables import show_terms
    from unprompt.members.interrogator import InterrogatorMember

    (member,) = unprompter.members
    assert isinstance(member, InterrogatorMember)
    member.interrogator.prepare(Steps(quiet=options.quiet))  # the tables show every list, whatever the mode
    pictures = options.pictures.decoded(member.interrogator.shorter_side, quiet=options.quiet)
    return show_terms(member.interrogator, member.settings, pictures, top, fail_fast=options.fail_fast)

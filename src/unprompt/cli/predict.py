"""`unprompt predict`, which is also `unprompt PATH...`."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Annotated

import typer

from unprompt.cli.answering import AnsweringOptions, answer
from unprompt.cli.options import AllowMissing, NoBeside, NoText, PresetName, StyleName, option_groups
from unprompt.cli.terminal import SMALL_BLOCK_BYTES, return_memory, say
from unprompt.errors import DataError

if TYPE_CHECKING:
    from unprompt.output.phrasing import Phrasing


@option_groups
def predict(
    *,
    preset: PresetName = "embedded",
    style: StyleName = None,
    vectors: Annotated[
        str | None,
        typer.Option(
            "--vectors",
            metavar="FILE.npy",
            help="Also write the vectors to FILE.npy, and their order to FILE.sources.jsonl.",
        ),
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", metavar="TEXT", help="Put TEXT before each text.")] = "",
    suffix: Annotated[str, typer.Option("--suffix", metavar="TEXT", help="Put TEXT after each text.")] = "",
    replace: Annotated[
        list[str] | None,
        typer.Option(
            "--replace",
            metavar="OLD=NEW",
            help="Replace OLD by NEW in the prompts; with an empty NEW, OLD's comma goes too. May be repeated.",
        ),
    ] = None,
    shuffle_tags: Annotated[
        bool,
        typer.Option("--shuffle-tags", help="Shuffle the parts of the prompts between commas, the same in each run."),
    ] = False,
    keep_tokens: Annotated[
        int,
        typer.Option(
            "--keep-tokens", metavar="N", min=0, help="With --shuffle-tags: leave the first N parts where they are."
        ),
    ] = 0,
    must_contain: Annotated[
        list[str] | None,
        typer.Option(
            "--must-contain", metavar="WORDS", help="Write only answers whose texts contain WORDS. May be repeated."
        ),
    ] = None,
    drop_if: Annotated[
        list[str] | None,
        typer.Option("--drop-if", metavar="WORDS", help="Write no answer whose text contains WORDS. May be repeated."),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", metavar="N", min=1, help="Cut texts at a comma to N CLIP tokens; CLIP reads 75."),
    ] = None,
    allow_missing: AllowMissing = False,
    ignore_metadata: Annotated[
        bool, typer.Option("--ignore-metadata", help="Predict even if the file itself holds its prompt.")
    ] = False,
    no_beside: NoBeside = False,
    embedding: Annotated[
        bool, typer.Option("--embedding", help="Add the vector's 384 numbers to each record.")
    ] = False,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Candidates to keep in a JSON record.")] = 5,
    no_text: NoText = False,
    options: AnsweringOptions,
) -> None:
    """Turn pictures back into prompts.

    The word `predict` may be omitted. One picture gives its prompt; several give one line each: the path, a tab, the
    prompt. If the file itself holds its prompt, that is the answer.
    """
    if preset == "embedded":  # whose models need no BLAS; its threads spin for a while once they are made
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from unprompt.unprompter import load

    template = options.outputs.template
    if keep_tokens and not shuffle_tags:
        raise DataError("--keep-tokens says what --shuffle-tags leaves in its place; add --shuffle-tags")
    shuffle_from = keep_tokens if shuffle_tags else None
    phrasing = _phrasing(template, prefix, suffix, replace or [], max_tokens, shuffle_from)
    words = not no_text or template is not None
    outputs = dataclasses.replace(options.outputs, vectors=vectors, embedding=embedding, words=words)
    if must_contain or drop_if:
        from unprompt.output.filtering import TextFilter

        outputs = dataclasses.replace(outputs, wanted=TextFilter(must_contain or (), drop_if or ()))
    outputs.check(options.pictures.paths, in_parts=options.in_parts)
    options.sharding.check(outputs, options.pictures.paths)
    options.clustering.check(outputs, options.pictures.paths, in_shards=options.sharding.asked)
    if not options.in_parts:  # which are jsonl
        outputs.check_vectors(quiet=options.quiet)
    return_memory(SMALL_BLOCK_BYTES)
    unprompter = load(
        preset,
        threads=options.threads,
        offline=options.pictures.offline,
        allow_missing=allow_missing,
        style=style,
    )
    if not options.quiet and style is not None and unprompter.preset.wording is None:
        say(f"--style changes nothing: the preset {unprompter.preset.name} has no decoder, a member writes the text")
    asked = dataclasses.replace(options, outputs=outputs)
    reading = {"ignore_metadata": ignore_metadata, "read_beside": not no_beside}
    raise typer.Exit(answer(asked, unprompter, phrasing, text=not no_text, top=top, **reading))


def _phrasing(
    template: str | None,
    prefix: str,
    suffix: str,
    replacements: list[str],
    max_tokens: int | None,
    shuffle_from: int | None,
) -> Phrasing | None:
    """None if texts are the prompts as they are."""
    if (
        template is None
        and not prefix
        and not suffix
        and not replacements
        and max_tokens is None
        and shuffle_from is None
    ):
        return None
    from unprompt.output.phrasing import Phrasing

    pairs = [pair.partition("=") for pair in replacements]
    for old, equals, _new in pairs:
        if not equals:
            raise DataError(f"expected OLD=NEW after --replace, found {old!r}")
    return Phrasing(template, prefix, suffix, [(old, new) for old, _, new in pairs], max_tokens, shuffle_from)

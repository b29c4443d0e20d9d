"""`unprompt predict`, which is also `unprompt PATH...`, and `unprompt score`."""

from __future__ import annotations

import functools
import os
import sys
from typing import Annotated

import typer

from unprompt.cli.options import (
    BatchSize,
    Format,
    NoText,
    Offline,
    OutputFile,
    OutputFormat,
    Paths,
    PresetName,
    Quiet,
    Threads,
)
from unprompt.cli.terminal import format_of, progress, say, say_failure, writing
from unprompt.errors import EXIT_SOME_FAILED


def predict(
    paths: Paths,
    preset: PresetName = "embedded",
    format: OutputFormat = None,
    output: OutputFile = None,
    batch_size: BatchSize = 8,
    threads: Threads = 0,
    ignore_metadata: Annotated[
        bool, typer.Option("--ignore-metadata", help="Predict even where the file itself holds its prompt.")
    ] = False,
    embedding: Annotated[
        bool, typer.Option("--embedding", help="Add the 384 numbers of the vector to each JSON record.")
    ] = False,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Candidates to keep in a JSON record.")] = 5,
    no_text: NoText = False,
    pixel_limit_mp: Annotated[
        float, typer.Option("--pixel-limit-mp", metavar="N", min=0, help="Megapixels above which a picture is refused.")
    ] = 100.0,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Turn pictures back into prompts.

    The word `predict` may be left out. One picture gives its prompt; several give a line each: the path, a tab, the
    prompt. Where the file itself holds its prompt, that is the answer.
    """
    from unprompt.output.records import to_record
    from unprompt.output.text import prompt_line
    from unprompt.prediction import Failure
    from unprompt.unprompter import load

    named = len(paths) > 1 or os.path.isdir(paths[0])
    unprompter = load(preset, threads=threads, offline=offline)
    answers = unprompter.predict(
        paths,
        batch_size=batch_size,
        ignore_metadata=ignore_metadata,
        text=not no_text,
        top=top,
        pixel_limit_mp=pixel_limit_mp,
    )
    if format_of(format, output) is Format.TEXT and (no_text or embedding) and not quiet:
        say("unprompt: vectors are not written as text; add --format jsonl")
    failed = 0
    line = functools.partial(prompt_line, named=named)
    # Lines that come one by one to a terminal are progress enough, and a bar would run through them.
    bar = progress("pictures", wanted=named and not quiet and (output is not None or not sys.stdout.isatty()))
    with writing(format, output, line) as writer, bar as advance:
        for answer in answers:
            writer.write(to_record(answer, embedding=embedding))
            if isinstance(answer, Failure):
                failed += 1
                say_failure(answer)
            advance(None)
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def score(
    picture: Annotated[str, typer.Argument(metavar="PICTURE", help="The picture; - is standard input.")],
    prompts: Annotated[list[str], typer.Argument(metavar="PROMPT", help="Prompts to compare with it.")],
    preset: PresetName = "embedded",
    format: OutputFormat = None,
    threads: Threads = 0,
    offline: Offline = False,
) -> None:
    """Say how near each prompt comes to a picture.

    The cosine between the prompt's vector and the one that is predicted for the picture, a tab, and the prompt, in the
    order given. What the file says about its prompt is not looked at.
    """
    from unprompt.output.records import scores_record
    from unprompt.output.text import score_lines
    from unprompt.unprompter import load

    scores = load(preset, threads=threads, offline=offline).score(picture, prompts)
    with writing(format, None, score_lines) as writer:
        writer.write(scores_record(picture, scores))

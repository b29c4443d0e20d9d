"""`unprompt predict`, which is also `unprompt PATH...`, and `unprompt score`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from unprompt.cli.options import (
    AllowMissing,
    AllowPrivateUrls,
    AnswerFormat,
    BatchSize,
    Existing,
    ExistingSidecar,
    FailFast,
    Failures,
    MemoryLimit,
    NoText,
    Offline,
    OutputFormat,
    OutputPlace,
    Paths,
    PixelLimit,
    PresetName,
    Quiet,
    Resume,
    Sidecar,
    Template,
    Threads,
    UrlLimit,
    UrlTimeout,
)
from unprompt.cli.outputs import OutputOptions, remark_on_vectors
from unprompt.cli.run import Run, answer_all, are_many
from unprompt.cli.terminal import return_memory, writing
from unprompt.errors import DataError

if TYPE_CHECKING:
    from unprompt.output.phrasing import Phrasing


def predict(
    paths: Paths,
    preset: PresetName = "embedded",
    format: AnswerFormat = None,
    output: OutputPlace = None,
    sidecar: Sidecar = False,
    existing: ExistingSidecar = Existing.SKIP,
    vectors: Annotated[
        str | None,
        typer.Option(
            "--vectors", metavar="FILE.npy", help="Also write the vectors there, and their order to FILE.sources.jsonl."
        ),
    ] = None,
    failures: Failures = None,
    resume: Resume = False,
    fail_fast: FailFast = False,
    template: Template = None,
    prefix: Annotated[str, typer.Option("--prefix", metavar="TEXT", help="Put this in front of each text.")] = "",
    suffix: Annotated[str, typer.Option("--suffix", metavar="TEXT", help="Put this behind each text.")] = "",
    replace: Annotated[
        list[str] | None,
        typer.Option("--replace", metavar="OLD=NEW", help="Replace OLD in the prompts; may be given several times."),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", metavar="N", min=1, help="Cut texts at a comma to N tokens of CLIP; it reads 75."),
    ] = None,
    batch_size: BatchSize = 8,
    threads: Threads = 0,
    allow_missing: AllowMissing = False,
    ignore_metadata: Annotated[
        bool, typer.Option("--ignore-metadata", help="Predict even where the file itself holds its prompt.")
    ] = False,
    embedding: Annotated[
        bool, typer.Option("--embedding", help="Add the 384 numbers of the vector to each record.")
    ] = False,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Candidates to keep in a JSON record.")] = 5,
    no_text: NoText = False,
    pixel_limit_mp: PixelLimit = 100.0,
    memory_limit_mb: MemoryLimit = 180.0,
    url_timeout_s: UrlTimeout = 30.0,
    url_limit_mb: UrlLimit = 64.0,
    allow_private_urls: AllowPrivateUrls = False,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Turn pictures back into prompts.

    The word `predict` may be left out. One picture gives its prompt; several give a line each: the path, a tab, the
    prompt. Where the file itself holds its prompt, that is the answer.
    """
    from unprompt.images.web.limits import WebLimits
    from unprompt.unprompter import load

    alone = paths[0] if len(paths) == 1 else None
    output = None if output == "-" else output  # as other tools have it
    phrasing = read_phrasing(template, prefix, suffix, replace or [], max_tokens)
    words = not no_text or template is not None
    options = OutputOptions(format, output, sidecar, existing, vectors, failures, embedding, resume, alone, words)
    options.check()
    return_memory()
    unprompter = load(preset, threads=threads, offline=offline, allow_missing=allow_missing)
    if not quiet:
        remark_on_vectors(options, no_text=no_text)
    web = WebLimits(url_timeout_s, url_limit_mb, allow_private=allow_private_urls, offline=offline)
    run = Run(paths, web, options, phrasing, watched=not quiet and are_many(paths), fail_fast=fail_fast)
    code = answer_all(
        run,
        unprompter,
        batch_size=batch_size,
        text=not no_text,
        top=top,
        ignore_metadata=ignore_metadata,
        pixel_limit_mp=pixel_limit_mp,
        memory_limit_mb=memory_limit_mb,
        quiet=quiet,
    )
    raise typer.Exit(code)


def read_phrasing(
    template: str | None, prefix: str, suffix: str, replace: list[str], max_tokens: int | None
) -> Phrasing | None:
    """None where texts are the prompts as they are."""
    if template is None and not prefix and not suffix and not replace and max_tokens is None:
        return None
    from unprompt.output.phrasing import Phrasing

    pairs = [pair.partition("=") for pair in replace]
    for old, equals, _new in pairs:
        if not equals:
            raise DataError(f"expected OLD=NEW after --replace, found {old!r}")
    return Phrasing(template, prefix, suffix, [(old, new) for old, _, new in pairs], max_tokens)


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

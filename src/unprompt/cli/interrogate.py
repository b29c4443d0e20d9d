"""`unprompt interrogate`: texts out of a caption and the terms of a vocabulary that go with a picture best."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unprompt.cli.options import (
    AllowPrivateUrls,
    AnswerFormat,
    BatchSize,
    CacheFolder,
    ClipModel,
    ClipWeights,
    Exclude,
    Existing,
    ExistingSidecar,
    FailFast,
    Failures,
    MemoryLimit,
    Offline,
    OutputPlace,
    Paths,
    PixelLimit,
    Quiet,
    Resume,
    Sidecar,
    Template,
    Threads,
    UrlLimit,
    UrlTimeout,
    VocabularySources,
    Without,
)
from unprompt.cli.outputs import OutputOptions
from unprompt.cli.predict import read_phrasing
from unprompt.cli.run import Run, answer_all, are_many
from unprompt.cli.steps import Steps
from unprompt.cli.term_tables import Limits, show_terms
from unprompt.cli.terminal import return_memory
from unprompt.errors import DataError
from unprompt.models.store.hub_cache import go_offline
from unprompt.models.store.weights import HUB

if TYPE_CHECKING:
    from unprompt.images.web.limits import WebLimits
    from unprompt.unprompter import Unprompter

_NAME = "interrogate"
_TABLES_ALONE = "--terms shows tables and writes no answers; leave out what says how these are written"
_BOTH = "{prompt} Negative prompt: {negative_prompt}"
"""A text that says both, as AUTOMATIC1111 writes them."""


class Mode(str, Enum):
    """How a text is put together."""

    BEST = "best"
    FAST = "fast"
    CLASSIC = "classic"
    PUBLISHED = "published"
    CAPTION = "caption"
    NEGATIVE = "negative"


def interrogate(
    paths: Paths,
    mode: Annotated[
        Mode,
        typer.Option(
            "--mode",
            metavar="best|fast|classic|published|caption|negative",
            help="The caption and: a chain of terms or whatever else is nearest (best), the best terms of all lists "
            "(fast), of each list (classic), a medium, a movement and three flavors (published), nothing (caption); "
            "or what the picture is least like (negative).",
        ),
    ] = Mode.BEST,
    clip: ClipModel = "embedded",
    weights: ClipWeights = HUB,
    caption: Annotated[
        str,
        typer.Option(
            "--caption",
            metavar="TEXT|MODEL",
            help="What describes the pictures: embedded, a captioner such as blip-large, ofa-base or local:FOLDER, or "
            "a text for all of them; '' is none.",
        ),
    ] = "embedded",
    vocabulary: VocabularySources = None,
    without: Without = None,
    exclude: Exclude = None,
    negative: Annotated[
        bool, typer.Option("--negative", help="Also say what each picture is least like: a negative prompt.")
    ] = False,
    terms: Annotated[
        bool, typer.Option("--terms", help="Show the best terms of each list and those of the text, as tables.")
    ] = False,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Terms of each list in a table.")] = 10,
    min_terms: Annotated[
        int, typer.Option("--min-terms", metavar="N", min=0, help="Terms that a chain tries at least.")
    ] = 8,
    max_terms: Annotated[
        int, typer.Option("--max-terms", metavar="N", min=1, help="Terms of a chain or fast text at most.")
    ] = 32,
    candidates: Annotated[
        int, typer.Option("--candidates", metavar="N", min=1, help="Terms that a chain chooses from.")
    ] = 2048,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens", metavar="N", min=1, help="Tokens of a text at most. Left out: what the model reads, 75."
        ),
    ] = None,
    cache: CacheFolder = None,
    format: AnswerFormat = None,
    output: OutputPlace = None,
    sidecar: Sidecar = False,
    existing: ExistingSidecar = Existing.SKIP,
    template: Template = None,
    failures: Failures = None,
    resume: Resume = False,
    fail_fast: FailFast = False,
    batch_size: BatchSize = 8,
    threads: Threads = 0,
    pixel_limit_mp: PixelLimit = 100.0,
    memory_limit_mb: MemoryLimit = 180.0,
    url_timeout_s: UrlTimeout = 30.0,
    url_limit_mb: UrlLimit = 64.0,
    allow_private_urls: AllowPrivateUrls = False,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Describe pictures by the terms that go with them best, as CLIP Interrogator does.

    One picture gives its text; several give a line each: the path, a tab, the text. What a file says about its prompt
    is not looked at. Models of open_clip need the extra [torch].
    """
    from unprompt.images.web.limits import WebLimits

    if offline:
        go_offline()
    output = None if output == "-" else output
    alone = paths[0] if len(paths) == 1 else None
    if terms and template is not None:
        raise DataError(_TABLES_ALONE)
    if negative and mode is not Mode.NEGATIVE and template is None:
        template = _BOTH
    phrasing = read_phrasing(template, "", "", [], None)
    options = OutputOptions(format, output, sidecar, existing, None, failures, False, resume, alone, words=True)
    options.check()
    if terms and (options.format or output or sidecar or failures):
        raise DataError(_TABLES_ALONE)
    return_memory()
    unprompter = _unprompter(
        {
            "model": clip,
            "weights": weights,
            "mode": mode.value,
            "caption": caption,
            "vocabulary": vocabulary,
            "without": without,
            "exclude": exclude,
            "cache": cache,
            "negative": negative,
            "gains": terms or format is not None or (output is not None and not sidecar),
            "min_terms": min_terms,
            "max_terms": max_terms,
            "candidates": candidates,
            "max_tokens": max_tokens,
        },
        threads,
    )
    web = WebLimits(url_timeout_s, url_limit_mb, allow_private=allow_private_urls, offline=offline)
    if terms:
        limits = Limits(pixel_limit_mp, memory_limit_mb)
        raise typer.Exit(_show_terms(unprompter, paths, web, top, limits, fail_fast=fail_fast, quiet=quiet))
    run = Run(paths, web, options, phrasing, watched=not quiet and are_many(paths), fail_fast=fail_fast)
    code = answer_all(
        run,
        unprompter,
        batch_size=batch_size,
        ignore_metadata=True,
        pixel_limit_mp=pixel_limit_mp,
        memory_limit_mb=memory_limit_mb,
        quiet=quiet,
    )
    raise typer.Exit(code)


def _unprompter(options: Mapping[str, Any], threads: int) -> Unprompter:
    """One member, whose text is the answer. What was left out goes without saying."""
    from unprompt.presets import read_preset, to_toml
    from unprompt.unprompter import Unprompter

    given = {name: value for name, value in options.items() if value is not None}
    text = to_toml({"members": [{"kind": "interrogator", **given}]})
    return Unprompter(read_preset(text, _NAME), threads=threads)


def _show_terms(
    unprompter: Unprompter, paths: list[str], web: WebLimits, top: int, limits: Limits, *, fail_fast: bool, quiet: bool
) -> int:
    from unprompt.images.sources import image_refs
    from unprompt.members.interrogator import InterrogatorMember

    (member,) = unprompter.members
    assert isinstance(member, InterrogatorMember)
    member.prepare(Steps(quiet=quiet))
    refs = image_refs(paths, web=web)
    return show_terms(member.interrogator, member.settings, refs, top, limits, fail_fast=fail_fast)

"""`unprompt data`: pictures with prompts, to learn from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from unprompt.cli import generate
from unprompt.cli.data_tables import finish, say_faults, show_statistics, write_json
from unprompt.cli.documents import check_documents
from unprompt.cli.options import (
    JsonFile,
    Overwrite,
    Quiet,
    Root,
    SkipBad,
    TextThreads,
    known_to_resume,
    on_this_machine,
)
from unprompt.cli.progress import Steps
from unprompt.cli.terminal import say
from unprompt.cli.vectors import VectorCache, kept_vectors
from unprompt.errors import DataError, MissingExtraError

app = typer.Typer(no_args_is_help=True)

Source: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Prompts: a .txt with one per line, or a .csv, .jsonl or .parquet file. Or pictures with their prompts: a "
        "folder with a .txt or .caption beside each, a .jsonl, .json, .csv or .parquet file, WebDataset tars, a folder "
        "of these, or hub:OWNER/NAME.",
    ),
]
Output: TypeAlias = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        callback=on_this_machine,
        metavar="FILE",
        help="The file for what is kept. A .txt holds the prompts only; a .jsonl, beside or above the pictures, their "
        "records; a .tar the pictures too; a .csv what a .csv of prompts held.",
    ),
]
Copies: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--keep-copies/--drop-copies",
        help="Whether to keep records that repeat a prompt. Default: pictures are kept, prompts alone are dropped.",
        show_default=False,
    ),
]
Continued: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--resume",
        callback=known_to_resume,
        help="Continue the output of an earlier run that Ctrl-C, a kill or a full disk stopped, kept beside FILE.",
    ),
]


@app.callback()
def data() -> None:
    """Make and prepare pairs of pictures and prompts."""


app.command("generate")(generate.generate)


@app.command()
def clean(
    source: Source,
    output: Output,
    overwrite: Overwrite = False,
    min_words: Annotated[int, typer.Option("--min-words", metavar="N", min=0, help="Drop prompts of fewer words.")] = 5,
    starts: Annotated[
        int,
        typer.Option(
            "--starts",
            metavar="N",
            min=0,
            help="Drop prompts whose first N characters are those of a kept one; 0: none.",
        ),
    ] = 15,
    ends: Annotated[
        int,
        typer.Option(
            "--ends",
            metavar="N",
            min=0,
            help="Drop prompts whose last N characters are those of a kept one; 0: none.",
        ),
    ] = 15,
    keep_copies: Copies = None,
    any_characters: Annotated[
        bool,
        typer.Option(
            "--any-characters", help="Keep prompts with characters other than Latin letters, digits and punctuation."
        ),
    ] = False,
    keep_marks: Annotated[
        bool, typer.Option("--keep-marks", help="Keep weights such as (word:1.2) and LoRA tags.")
    ] = False,
    keep_spaces: Annotated[
        bool, typer.Option("--keep-spaces", help="Keep white space and control characters; needs --keep-marks.")
    ] = False,
    root: Root = None,
    skip_bad: SkipBad = False,
    resume: Continued = False,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Clean prompts as the competition's best teams did.

    Shows how many prompts each rule changed or dropped. A prompt is dropped by the first rule that it breaks.
    """
    from unprompt.datasets.cleaning import CleaningRules, clean_prompts
    from unprompt.datasets.outputs import OutputPlace
    from unprompt.datasets.prompts import PromptSource
    from unprompt.output.documents import check_new, is_begun

    if keep_spaces and not keep_marks:
        raise DataError("expected --keep-marks with --keep-spaces: taking marks out leaves single spaces")
    check_documents([json], source, outputs=[output], overwrite=overwrite, resume=resume)
    check_new(output, overwrite=overwrite, resume=resume, begun=is_begun([output]))
    prompts = PromptSource(source, skip_bad=skip_bad, root=root)
    rules = CleaningRules(
        spaces=not keep_spaces,
        marks=not keep_marks,
        least_words=min_words,
        latin=not any_characters,
        copies=_drops_copies(keep_copies, prompts.alone),
        starts=starts,
        ends=ends,
    )
    place = OutputPlace(output, prompts, resume=resume)
    try:
        counts = clean_prompts(prompts, place, rules, Steps(quiet=quiet))
    except KeyboardInterrupt:
        say("interrupted; what was written is kept, continue with --resume")
        raise
    said = {
        "read": "prompts read",
        "spaces": "changed: white space, control characters",
        "marks": "changed: weights, LoRA tags",
        "empty": "dropped: nothing left",
        "short": f"dropped: fewer than {min_words} words",
        "characters": "dropped: other characters",
        "copies": "dropped: copies",
        "starts": f"dropped: first {starts} characters of a kept one",
        "ends": f"dropped: last {ends} characters of a kept one",
        "kept": "kept",
    }
    finish(
        output, [(text, counts[name]) for name, text in said.items()], dict(counts), prompts.faults, json, quiet=quiet
    )


@app.command()
def dedupe(
    source: Source,
    output: Output,
    overwrite: Overwrite = False,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold", metavar="COSINE", min=0.3, max=1.0, help="Cosine from which two prompts say the same."
        ),
    ] = 0.85,
    pairs: Annotated[
        str | None,
        typer.Option("--pairs", metavar="FILE.jsonl", help="Also write all pairs of prompts that reach the threshold."),
    ] = None,
    keep_copies: Copies = None,
    cache: VectorCache = None,
    threads: TextThreads = 0,
    root: Root = None,
    skip_bad: SkipBad = False,
    resume: Continued = False,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Drop prompts that say nearly the same as an earlier one.

    In order, a prompt is dropped if its cosine with any prompt kept before it reaches the threshold. So no two kept
    prompts reach it, and each dropped one has a kept one near. Vectors are those of all-MiniLM-L6-v2, computed once and
    kept for the next time; the same command continues a run that was stopped. Every pair is found.
    """
    _leave_threads_to_us()
    from unprompt.datasets.comparison import DistinctPrompts
    from unprompt.datasets.deduplication import deduplicate
    from unprompt.datasets.outputs import OutputPlace
    from unprompt.datasets.prompts import PromptSource
    from unprompt.output.documents import check_new, is_begun

    check_documents([pairs, json], source, outputs=[output], overwrite=overwrite, resume=resume)
    check_new(output, overwrite=overwrite, resume=resume, begun=is_begun([output]))
    prompts = PromptSource(source, skip_bad=skip_bad, root=root)
    steps = Steps(quiet=quiet)
    place = OutputPlace(output, prompts, resume=resume)
    distinct = DistinctPrompts.read(prompts, steps, place.check)
    with kept_vectors(cache, threads) as store:
        found = deduplicate(
            distinct,
            store,
            place,
            threshold=threshold,
            copies=not _drops_copies(keep_copies, prompts.alone),
            pairs=pairs,
            step=steps,
        )
    rows = [
        ("records read", found.records),
        ("distinct prompts", found.distinct),
        (f"near an earlier one (cosine of {threshold:g} or more)", found.distinct - found.kept),
        ("distinct prompts kept", found.kept),
        ("records kept", found.kept_records),
    ]
    if found.near_pairs is not None:
        rows.insert(2, ("near pairs", found.near_pairs))
    finish(output, rows, {**vars(found), "threshold": threshold}, prompts.faults, json, quiet=quiet)


@app.command()
def split(
    source: Source,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            callback=on_this_machine,
            metavar="FOLDER",
            help="The folder for train and val: .txt for a text file, .jsonl for other prompts and for pictures in or "
            "below it, or .tar.",
        ),
    ],
    overwrite: Overwrite = False,
    group: Annotated[
        float,
        typer.Option("--group", metavar="COSINE", min=0.3, max=1.0, help="Cosine from which prompts are similar."),
    ] = 0.7,
    share: Annotated[
        float, typer.Option("--share", metavar="SHARE", min=0.0, max=1.0, help="The share of records for validation.")
    ] = 0.1,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, max=2**32 - 1, help="Decides which groups are drawn.")
    ] = 0,
    tar: Annotated[
        bool, typer.Option("--tar", help="Write tars that contain the pictures, wherever these are.")
    ] = False,
    cache: VectorCache = None,
    threads: TextThreads = 0,
    root: Root = None,
    skip_bad: SkipBad = False,
    resume: Continued = False,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Split into training and validation, with no similar prompts on both sides.

    Prompts are in one group if a chain links them in which each is similar to the next; pictures of a prompt are in its
    group. Groups are drawn for validation until the share is reached; groups larger than the share are for training.
    Each record says its group.
    """
    _leave_threads_to_us()
    from unprompt.datasets.comparison import DistinctPrompts
    from unprompt.datasets.outputs import OutputPlace
    from unprompt.datasets.prompts import PromptSource
    from unprompt.datasets.splitting import split_prompts
    from unprompt.durable import write_errors
    from unprompt.output.documents import check_new, is_begun

    prompts = PromptSource(source, skip_bad=skip_bad, root=root)
    steps = Steps(quiet=quiet)
    if tar and prompts.alone:
        raise DataError(f"expected pictures with --tar, found prompts alone in {source}; omit it")
    if not 0 < share < 1:  # before an hour of vectors
        raise DataError(f"expected --share above 0 and below 1, found {share:g}; no part is empty")
    check_documents([json], source, overwrite=overwrite, resume=resume)
    suffix = ".txt" if prompts.is_text else ".tar" if tar else ".jsonl"
    halves = [str(output / f"{name}{suffix}") for name in ("train", "val")]
    for half in halves:  # the first may be whole where the second was stopped
        check_new(half, overwrite=overwrite, resume=resume, begun=is_begun(halves))
    with write_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    train, validation = (OutputPlace(half, prompts, resume=resume) for half in halves)
    distinct = DistinctPrompts.read(prompts, steps, train.check)
    with kept_vectors(cache, threads) as store:
        found = split_prompts(distinct, store, train, validation, threshold=group, share=share, seed=seed, step=steps)
    rows = [
        ("records read", found.records),
        ("distinct prompts", found.distinct),
        (f"groups (cosine of {group:g} or more)", found.groups),
        ("records in the largest group", found.largest_group),
        ("groups for validation", found.validation_groups),
        ("records for validation", found.validation_records),
        ("records for training", found.train_records),
    ]
    parameters = {"group": group, "share": share, "seed": seed}
    finish(
        f"{train.path} and {validation.path}", rows, {**vars(found), **parameters}, prompts.faults, json, quiet=quiet
    )


@app.command()
def stats(
    source: Source,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            metavar="COSINE",
            min=0.0,
            max=1.0,
            help="Cosine from which two prompts say the same; 0 computes no vectors.",
        ),
    ] = 0.85,
    plot: Annotated[
        str | None,
        typer.Option("--plot", metavar="FILE.png", help="Also draw charts; needs the extra [torch]."),
    ] = None,
    cache: VectorCache = None,
    threads: TextThreads = 0,
    root: Root = None,
    skip_bad: SkipBad = False,
    overwrite: Overwrite = False,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Count what a data set consists of.

    Counts records and distinct prompts, their lengths in words and in CLIP tokens, the most frequent phrases (texts
    between commas), the values of the fields kind, generator and source, and the prompts that say nearly the same as an
    earlier one.
    """
    _leave_threads_to_us()
    from unprompt.datasets.comparison import DistinctPrompts
    from unprompt.datasets.deduplication import find_originals
    from unprompt.datasets.prompts import PromptSource
    from unprompt.datasets.statistics import Statistics
    from unprompt.output.documents import check_new

    if plot is not None:
        _check_plot(plot)
    check_documents([json], source, outputs=[] if plot is None else [plot], overwrite=overwrite)
    check_new(plot, overwrite=overwrite)
    prompts = PromptSource(source, skip_bad=skip_bad, root=root)
    steps = Steps(quiet=quiet)
    statistics = Statistics()
    distinct = DistinctPrompts.read(prompts, steps, statistics.add)
    summary = statistics.summary()
    if threshold:
        with kept_vectors(cache, threads) as store:
            search = distinct.search(store, threshold, steps)
            with steps("comparing", search.pairs_up_to(len(search)), "pairs") as advance:
                near = int((find_originals(search, advance=advance) >= 0).sum())
        summary["near_duplicates"] = {"threshold": threshold, "count": near, "share": round(near / len(distinct), 4)}
    if plot is not None:
        from unprompt.datasets.statistics_plot import plot_statistics

        plot_statistics(statistics, Path(source).name or source, plot)
    show_statistics(summary, source)
    write_json({**summary, "faults": dict(prompts.faults)}, json)
    say_faults(prompts.faults)


def _leave_threads_to_us() -> None:
    """Gives each matrix product one thread, before numpy is imported.

    Threads of ours compare blocks side by side. Where those of a product have to wait for each other, on a busy
    machine, two take twice as long as one.
    """
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ.setdefault(name, "1")


def _drops_copies(keep: bool | None, alone: bool) -> bool:
    return alone if keep is None else not keep


def _check_plot(path: str) -> None:
    """Raises DataError, MissingExtraError."""
    from importlib.util import find_spec

    from unprompt.durable import write_errors

    if not path.lower().endswith(".png"):
        raise DataError(f"expected --plot to end in .png, found {path}")
    with write_errors(path):
        Path(path).parent.resolve(strict=True)
    if find_spec("matplotlib") is None:
        raise MissingExtraError("a plot", "torch")

"""`unprompt kaggle`: the competition's submission, made, checked and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from unprompt.cli.interrupts import Interrupts
from unprompt.cli.options import BatchSize, Offline, Overwrite, PresetName, Quiet, Resume, Threads
from unprompt.cli.outputs import OutputOptions, kept_answers
from unprompt.cli.progress import Tally, announced, interruptible, shown
from unprompt.cli.terminal import add_row, new_table, print_lines, return_memory, say, say_failure, show
from unprompt.errors import EXIT_SOME_FAILED, EXIT_USAGE

if TYPE_CHECKING:
    from rich.table import Table

    from unprompt.kaggle.scores import Scores
    from unprompt.kaggle.submission import Check
    from unprompt.prediction import Failure, Prediction, Vector

app = typer.Typer(no_args_is_help=True)


SubmissionFile: TypeAlias = Annotated[
    str, typer.Argument(metavar="SUBMISSION.csv", help="Rows imgId_eId,val in any order.")
]
Like: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--like",
        metavar="SAMPLE.csv",
        help="The competition's sample_submission.csv, which lists the images.",
    ),
]


@app.callback()
def kaggle() -> None:
    """Make, check and score Kaggle submissions.

    For the competition "Stable Diffusion - Image to Prompts".
    """


@app.command()
def submit(
    folder: Annotated[
        str,
        typer.Argument(metavar="IMAGES_DIR", help="A folder of pictures; a name without its suffix is the imgId."),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Write the submission to FILE.")
    ] = "submission.csv",
    like: Like = None,
    preset: PresetName = "embedded",
    fill: Annotated[
        Literal["mean"] | None,
        typer.Option(
            "--fill",
            metavar="mean",
            help="Give pictures that cannot be read the mean of the predicted vectors. Default: name them and write "
            "nothing.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    batch_size: BatchSize = 8,
    threads: Threads = 0,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Write the submission for a folder of pictures.

    Its rows are imgId_eId,val, with images by name or, with --like, in the sample's order, and eId from 0 to 383. Every
    vector is predicted, even if a file itself holds its prompt. The submission is written whole or not at all.
    """
    from unprompt.kaggle.pictures import find_pictures, in_order
    from unprompt.kaggle.submission import mean_in_gaps, read_images, write_submission
    from unprompt.output.documents import check_apart
    from unprompt.unprompter import load

    check_apart([output], [preset, *([] if like is None else [like])])
    options = OutputOptions(output=output, format="csv", overwrite=overwrite, resume=resume)
    options.check([])
    pictures = find_pictures(folder)
    if like is not None:
        found = len(pictures)
        pictures = in_order(pictures, read_images(like))
        if len(pictures) < found and not quiet:
            say(f"skipped {found - len(pictures):,} pictures that the sample lacks")
    return_memory()
    unprompter = load(preset, threads=threads, offline=offline)
    tally = Tally(len(pictures))
    with (
        kept_answers(options, unprompter.identity(text=False), text=False, top=1, ignore_metadata=True) as answers,
        interruptible(tally, "what was answered is kept; continue with --resume"),
        Interrupts() as interrupts,
        shown(tally, quiet=quiet) as advance,
    ):
        predicted = unprompter.predict(
            pictures.values(), batch_size=batch_size, ignore_metadata=True, text=False, top=1, answers=answers
        )
        vectors = _vectors(pictures, interrupts.between(predicted), tally, advance)
        write_submission(output, _whole(vectors, output, tally) if fill is None else mean_in_gaps(vectors))
    if not quiet:
        say(tally.summary())


@app.command()
def check(submission: SubmissionFile, like: Like = None, quiet: Quiet = False) -> None:
    """Say what is wrong with a submission; the exit code is 2 if anything is.

    Counts rows that are missing, extra (with --like), doubled, broken or not finite, eIds other than 0 to 383, vectors
    of no length, and another header, and shows the first few of each.
    """
    from unprompt.display import printable
    from unprompt.kaggle.submission import check_submission

    with announced(f"reading {printable(submission)}", quiet=quiet):
        found = check_submission(submission, like)
    if found.findings:
        show(_findings_table(found))
    verdict = "not sound" if found.findings else "sound"
    print_lines(f"{printable(submission)}: {found.rows:,} rows of {found.images:,} images, {verdict}")
    if found.findings:
        raise typer.Exit(EXIT_USAGE)


@app.command()
def score(
    submission: SubmissionFile,
    truth: Annotated[
        str,
        typer.Option(
            "--truth", metavar="TRUTH.csv", help="True prompts (imgId,prompt), or true vectors as in a submission."
        ),
    ],
    by_image: Annotated[bool, typer.Option("--by-image", help="Show each image's cosine and true prompt.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score a submission as the competition does: the mean cosine with the true vectors.

    Shows a bootstrap interval of 95 % with it. The submission must be sound: see `unprompt kaggle check`.
    """
    from unprompt.kaggle.scores import score_submission

    with announced("reading both files and comparing", quiet=quiet):
        scores = score_submission(submission, truth)
    show(_scores_table(scores, by_image=by_image))
    if scores.unscored and not quiet:
        say(f"{scores.unscored:,} submitted images have no truth and are not scored")


def _vectors(
    images: Iterable[str], answers: Iterable[Prediction | Failure], tally: Tally, advance: Callable[[], None]
) -> Iterator[tuple[str, Vector | None]]:
    """Each image with its vector; None if it cannot be read, after a line that says why."""
    from unprompt.prediction import Failure

    for image, answer in zip(images, answers, strict=True):
        tally.add(answer)
        advance()
        if isinstance(answer, Failure):
            say_failure(answer)
        yield image, None if isinstance(answer, Failure) else answer.vector


def _whole(vectors: Iterable[tuple[str, Vector | None]], output: str, tally: Tally) -> Iterator[tuple[str, Vector]]:
    """All of them; if some are missing the command ends, after it has named them all."""
    for image, vector in vectors:
        if vector is not None:
            yield image, vector
    if tally.failed:
        say(
            f"{output} is not written: {tally.failed:,} of {tally.done:,} pictures failed; mend them, or add --fill "
            "mean, and use --resume"
        )
        raise typer.Exit(EXIT_SOME_FAILED)


def _findings_table(found: Check) -> Table:
    table = new_table("finding", "count", "the first of them", right=("count",))
    for finding in found.findings:
        add_row(table, finding.kind, f"{finding.count:,}", ", ".join(finding.examples))
    return table


def _scores_table(scores: Scores, *, by_image: bool) -> Table:
    headings = ("image", "cosine", "95 %", *(["prompt"] if by_image else []))
    table = new_table(*headings, right=("cosine",), title="Mean cosine with the truth")
    if by_image:
        for image, cosine, prompt in zip(scores.images, scores.cosines, scores.prompts, strict=True):
            add_row(table, image, f"{cosine:.4f}", "", prompt)
        table.add_section()
    mean = scores.mean
    interval = "-" if mean.low is None or mean.high is None else f"{mean.low:.4f} to {mean.high:.4f}"
    add_row(table, f"all {len(scores.images):,}", f"{mean.mean:.4f}", interval)
    return table

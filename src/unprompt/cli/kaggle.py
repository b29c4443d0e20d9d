"""`unprompt kaggle`: the competition's submission, made, checked and scored."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unprompt.cli.interrupts import Interrupts
from unprompt.cli.options import BatchSize, Existing, Offline, PresetName, Quiet, Threads
from unprompt.cli.outputs import OutputOptions, kept_answers
from unprompt.cli.progress import Tally, shown
from unprompt.cli.terminal import quiet_pipe, return_memory, say, say_failure, show
from unprompt.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED, EXIT_USAGE

if TYPE_CHECKING:
    from rich.table import Table

    from unprompt.kaggle.scores import Scores
    from unprompt.kaggle.submission import Check
    from unprompt.prediction import Failure, Prediction, Vector

app = typer.Typer(no_args_is_help=True)


class Fill(str, Enum):
    """What a picture gets that cannot be read."""

    MEAN = "mean"


SubmissionFile: TypeAlias = Annotated[
    str, typer.Argument(metavar="SUBMISSION.csv", help="Rows imgId_eId,val, in any order.")
]
Like: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--like", metavar="SAMPLE.csv", help="The competition's sample_submission.csv: it says which images there are."
    ),
]


@app.callback()
def kaggle() -> None:
    """Make, check and score Kaggle submissions.

    Of the competition "Stable Diffusion - Image to Prompts".
    """


@app.command()
def submit(
    folder: Annotated[
        str, typer.Argument(metavar="IMAGES_DIR", help="The pictures; a name without its suffix is the imgId.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Write the submission there.")
    ] = "submission.csv",
    like: Like = None,
    preset: PresetName = "embedded",
    fill: Annotated[
        Fill | None,
        typer.Option(
            "--fill",
            metavar="mean",
            help="Give pictures that cannot be read the mean of the predicted vectors. Left out: they are named, and "
            "nothing is written.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on where an earlier run with this output stopped; answers stay in a journal beside it.",
        ),
    ] = False,
    batch_size: BatchSize = 8,
    threads: Threads = 0,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Write the submission for a folder of pictures.

    Rows imgId_eId,val: images by their name or, with --like, in the sample's order, eId from 0 to 383. Every vector is
    predicted, whatever a file says about its prompt. The file is written whole or not at all.
    """
    from unprompt.kaggle.pictures import find_pictures, in_order
    from unprompt.kaggle.submission import mean_in_gaps, read_images, write_submission
    from unprompt.output.documents import check_apart
    from unprompt.unprompter import load

    check_apart([output], [preset, *([] if like is None else [like])])
    pictures = find_pictures(folder)
    if like is not None:
        found = len(pictures)
        pictures = in_order(pictures, read_images(like))
        if len(pictures) < found and not quiet:
            say(f"unprompt: {found - len(pictures):,} pictures that the sample lacks are left out")
    return_memory()
    unprompter = load(preset, threads=threads, offline=offline)
    options = _options(output, resume=resume)
    tally = Tally()
    tally.total = len(pictures)
    with (
        kept_answers(options, unprompter.identity(text=False), text=False, top=1, ignore_metadata=True) as answers,
        _interruptible(tally),
        Interrupts() as interrupts,
        _shown(tally, quiet=quiet) as advance,
    ):
        predicted = unprompter.predict(
            pictures.values(), batch_size=batch_size, ignore_metadata=True, text=False, top=1, answers=answers
        )
        vectors = _vectors(pictures, interrupts.between(predicted), tally, advance)
        write_submission(output, _whole(vectors, output, tally) if fill is None else mean_in_gaps(vectors))
    if not quiet:
        say(f"unprompt: {tally.summary()}")


@app.command()
def check(submission: SubmissionFile, like: Like = None) -> None:
    """Say what is wrong with a submission: exit code 2 if anything is.

    Rows that are missing, extra (with --like), doubled, broken or not finite, eIds other than 0 to 383, vectors of no
    length, another header: how many there are, and the first few.
    """
    from unprompt.display import printable
    from unprompt.kaggle.submission import check_submission

    found = check_submission(submission, like)
    if found.findings:
        show(_findings_table(found))
    with quiet_pipe():
        verdict = "not sound" if found.findings else "sound"
        print(f"{printable(submission)}: {found.rows:,} rows of {found.images:,} images, {verdict}", flush=True)
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

    With a bootstrap interval of 95 %. The submission must be sound: see `unprompt kaggle check`.
    """
    from unprompt.kaggle.scores import score_submission

    scores = score_submission(submission, truth)
    show(_scores_table(scores, by_image=by_image))
    if scores.unscored and not quiet:
        say(f"unprompt: {scores.unscored:,} submitted images have no truth and are not scored")


def _options(output: str, *, resume: bool) -> OutputOptions:
    return OutputOptions(
        format=None,
        output=output,
        sidecar=False,
        existing=Existing.SKIP,
        vectors=None,
        failures=None,
        embedding=False,
        resume=resume,
        alone=None,
        words=False,
    )


def _shown(tally: Tally, *, quiet: bool) -> contextlib.AbstractContextManager[Callable[[], None]]:
    return contextlib.nullcontext(lambda: None) if quiet else shown(tally, bar=True)


@contextlib.contextmanager
def _interruptible(tally: Tally) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say(f"unprompt: interrupted: {tally.line()}; what was answered is kept; go on with --resume")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _vectors(
    images: Iterable[str], answers: Iterable[Prediction | Failure], tally: Tally, advance: Callable[[], None]
) -> Iterator[tuple[str, Vector | None]]:
    """Each image with its vector; None, and a line that says why, where it cannot be read."""
    from unprompt.prediction import Failure

    for image, answer in zip(images, answers, strict=True):
        tally.add(answer)
        advance()
        if isinstance(answer, Failure):
            say_failure(answer)
        yield image, None if isinstance(answer, Failure) else answer.vector


def _whole(vectors: Iterable[tuple[str, Vector | None]], output: str, tally: Tally) -> Iterator[tuple[str, Vector]]:
    """All of them; where there are gaps the command ends, once it has named them all."""
    from unprompt.display import printable

    for image, vector in vectors:
        if vector is not None:
            yield image, vector
    if tally.failed:
        say(
            f"unprompt: {printable(output)} is not written: {tally.failed:,} of {tally.done:,} pictures failed; "
            "mend them, or add --fill mean, and use --resume"
        )
        raise typer.Exit(EXIT_SOME_FAILED)


def _findings_table(found: Check) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("finding")
    table.add_column("count", justify="right")
    table.add_column("the first of them")
    for finding in found.findings:
        table.add_row(finding.kind, f"{finding.count:,}", escape(", ".join(finding.examples)))
    return table


def _scores_table(scores: Scores, *, by_image: bool) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from unprompt.display import printable

    table = Table("image", title="Mean cosine with the truth", title_justify="left")
    table.add_column("cosine", justify="right")
    table.add_column("95 %")
    if by_image:
        table.add_column("prompt")
        for image, cosine, prompt in zip(scores.images, scores.cosines, scores.prompts, strict=True):
            table.add_row(escape(printable(image)), f"{cosine:.4f}", "", escape(printable(prompt)))
        table.add_section()
    mean = scores.mean
    interval = "-" if mean.low is None or mean.high is None else f"{mean.low:.4f} to {mean.high:.4f}"
    table.add_row(f"all {len(scores.images):,}", f"{mean.mean:.4f}", interval)
    return table

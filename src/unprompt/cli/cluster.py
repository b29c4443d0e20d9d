"""`--cluster ray`: one run by actors on a Ray cluster, with its answers in parts."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from unprompt.cli.interrupts import Interrupts
from unprompt.cli.options import PictureOptions
from unprompt.cli.outputs import OutputOptions
from unprompt.cli.progress import Steps, Tally, interruptible, shown
from unprompt.cli.sharding import check_repeatable
from unprompt.cli.terminal import say, say_passed_over
from unprompt.errors import DataError
from unprompt.locations.address import is_remote

if TYPE_CHECKING:
    from unprompt.images.selection import Selection
    from unprompt.output.phrasing import Phrasing
    from unprompt.scale.listing import Listing
    from unprompt.scale.ray.answerer import Asked
    from unprompt.scale.ray.driver import Actors, Before
    from unprompt.scale.ray.parts import Form
    from unprompt.scale.ray.rows import Row
    from unprompt.unprompter import Unprompter

FORMS = ("jsonl", "parquet", "webdataset")

_NO_LEASE_S = 1.0
"""A run on a cluster has no claims: its driver alone gives out work."""


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Where the pictures are answered, if not here, and by how many."""

    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="ray|ray://HOST:PORT",
            help="Answer on a Ray cluster; -o is the folder for the parts, which 'unprompt merge' puts together. ray: "
            "the cluster of RAY_ADDRESS, or one of this machine that ends with the command.",
        ),
    ] = None
    parts: Annotated[
        str,
        typer.Option(
            "--parts",
            metavar="|".join(FORMS),
            help="With --cluster: what the folder gets beside the records as jsonl: tables, or the pictures and their "
            "prompts as tars.",
        ),
    ] = "jsonl"
    actors: Annotated[
        int | None,
        typer.Option(
            "--actors", metavar="N", min=1, help="Processes that answer. Default: as many as the cluster fits."
        ),
    ] = None
    actor_cpus: Annotated[
        float,
        typer.Option("--actor-cpus", metavar="N", min=0.0, help="CPUs of an actor, and threads, without --threads."),
    ] = 1.0
    actor_gpus: Annotated[
        float, typer.Option("--actor-gpus", metavar="N", min=0.0, help="GPUs of an actor; 0.25: four share one.")
    ] = 0.0
    chunk_pictures: Annotated[
        int,
        typer.Option(
            "--chunk-pictures", metavar="N", min=1, max=10_000, help="Pictures that an actor is given at a time."
        ),
    ] = 64

    @property
    def asked(self) -> bool:
        """Whether the pictures are answered elsewhere."""
        return self.cluster is not None

    def check(self, outputs: OutputOptions, paths: Sequence[str], *, in_shards: bool) -> None:
        """Raises DataError if something is missing or cannot go together, MissingExtraError, ClusterError."""
        if self.cluster is None:
            self._check_unused()
            return
        if in_shards:
            raise DataError("a cluster's actors share the work among themselves; omit --shards and --shard")
        for path in paths:
            check_repeatable(path)
        if self.parts not in FORMS:
            raise DataError(f"expected --parts {', '.join(FORMS)}, found {self.parts}")
        if outputs.output is None:
            raise DataError("a cluster's answers need a folder for their parts; add -o FOLDER")
        if is_remote(outputs.output):
            raise DataError(
                f"expected a folder here, where the command writes what actors send, found {outputs.output}; upload "
                "the parts when all are done"
            )
        if outputs.sidecar or outputs.vectors is not None or outputs.failures is not None:
            raise DataError(
                "a cluster writes records alone; omit --sidecar, --vectors and --failures (--embedding adds vectors)"
            )
        if outputs.wanted is not None:
            raise DataError("'unprompt merge' needs every answer; omit --must-contain and --drop-if")
        if outputs.format not in (None, "jsonl"):
            raise DataError(
                f"a cluster writes parts, found --format {outputs.format}; give it to 'unprompt merge', or use --parts"
            )
        from unprompt.scale.ray.cluster import check_address, check_installed
        from unprompt.scale.runs import check_folder

        check_folder(Path(outputs.output))
        check_installed()
        check_address(self.cluster)  # now, and not after a long list

    def _check_unused(self) -> None:
        """Raises DataError if an option says how a cluster answers, and nobody asked for one."""
        default = ClusterOptions()
        names = ("parts", "actors", "actor_cpus", "actor_gpus", "chunk_pictures")
        unused = ["--" + name.replace("_", "-") for name in names if getattr(self, name) != getattr(default, name)]
        if unused:
            raise DataError(
                f"expected --cluster ray with {unused[0]}, which says how a cluster answers; add it, or omit this"
            )

    @property
    def form(self) -> Form:
        """The form of the parts, once it is checked."""
        return cast("Form", self.parts)

    @property
    def actors_asked(self) -> Actors:
        """The actors, as the run takes them."""
        from unprompt.scale.ray.driver import Actors
        from unprompt.scale.ray.pool import Needs

        return Actors(self.actors, Needs(self.actor_cpus, self.actor_gpus), self.chunk_pictures)


def answer_on_cluster(
    options: ClusterOptions,
    outputs: OutputOptions,
    pictures: PictureOptions,
    unprompter: Unprompter,
    phrasing: Phrasing | None,
    *,
    decides: Mapping[str, Any],
    batch_size: int,
    threads: int,
    quiet: bool,
) -> int:
    """Answers all pictures on the cluster, except those that an earlier run did; returns the exit code.

    `decides` is what `Unprompter.predict` takes that decides an answer. Raises DataError (the folder holds another run)
    and ClusterError before anything is computed.
    """
    from unprompt.images.selection import decodable
    from unprompt.scale.ray.answerer import Asked
    from unprompt.scale.ray.cluster import joined
    from unprompt.scale.ray.driver import answer, check_cluster

    assert options.cluster is not None
    assert outputs.output is not None
    model = unprompter.identity(text=decides["text"])
    asked = Asked(
        preset_text=unprompter.preset.text,
        preset_file=f"{unprompter.preset.name}.toml",
        threads=threads or max(1, int(options.actor_cpus)),
        allow_missing=bool(unprompter.missing),
        style=model.get("style"),
        offline=pictures.offline,
        batch_size=batch_size,
        embedding=outputs.embedding,
        phrasing=phrasing,
        with_pictures=options.parts == "webdataset",
        **decides,
        **pictures.limits,
    )
    folder, actors, selection = Path(outputs.output), options.actors_asked, decodable()
    listing = _begun(folder, pictures, selection, model, {**_deciding(asked, pictures), "parts": options.parts}, quiet)
    with joined(options.cluster, actors.needs, actors.count) as cluster:
        if not quiet:
            say(f"{listing.pictures:,} pictures on a cluster of {cluster}")
        check_cluster(cluster, asked, pictures.refs)
        tally = Tally(listing.pictures)
        _take_all(answer(cluster, pictures.refs, asked, folder, options.form, actors), tally, quiet=quiet)
    if not quiet:
        say(tally.summary(skipped="answered before"))
        say_passed_over(selection)
    return tally.exit_code


def _begun(
    folder: Path,
    pictures: PictureOptions,
    selection: Selection,
    model: Mapping[str, Any],
    decides: Mapping[str, Any],
    quiet: bool,
) -> Listing:
    """Lists the pictures, and begins the run in the folder, or goes on with it."""
    from unprompt.scale.listing import list_all
    from unprompt.scale.runs import Run, join_run

    with Steps(quiet=quiet)("listing the pictures", None, "pictures") as advance:
        listing = list_all(pictures.refs(selection), advance)
    run = Run(None, _NO_LEASE_S, listing.pictures, listing.sha256, model, decides)
    for difference in join_run(folder, run):
        say(f"{folder} was begun with another version: {difference}; answers may differ in their last bits")
    return listing


def _deciding(asked: Asked, pictures: PictureOptions) -> dict[str, Any]:
    """All that decides a record, beside the model."""
    of_asked = ("text", "top", "ignore_metadata", "read_beside", "embedding", "pixel_limit_mp", "memory_limit_mb")
    of_addresses = ("url_timeout_s", "url_limit_mb", "allow_private_urls")
    return {
        **{name: getattr(asked, name) for name in of_asked},
        **{name: getattr(pictures, name) for name in of_addresses},
        "phrasing": asked.phrasing and asked.phrasing.identity,
    }


def _take_all(answers: Generator[Before | list[Row], None, None], tally: Tally, *, quiet: bool) -> None:
    """Counts what is answered and written, and says what failed."""
    from unprompt.scale.ray.driver import Before

    with (
        interruptible(tally, "what was answered is kept; the same command continues"),
        Interrupts() as interrupts,
        shown(tally, quiet=quiet) as advance,
    ):
        for step in interrupts.between(answers):
            if isinstance(step, Before):
                tally.add_before(step.done, step.failed)
                continue
            for row in step:
                tally.add_record(row.record)
                if error := row.record.get("error"):
                    say(f"{row.record['source']}: {error['message']}")
            advance()

"""`unprompt metadata`: what the files say, without any model."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unprompt.cli.interrupts import Interrupts
from unprompt.cli.options import (
    ENDINGS,
    AnswerFormat,
    Excel,
    NoBeside,
    Overwrite,
    Paths,
    Quiet,
    on_this_machine,
    unless_dash,
)
from unprompt.cli.progress import Tally, are_many, counted, interruptible, shown
from unprompt.cli.terminal import columns, quiet_pipe, say, say_failure, writing
from unprompt.errors import DataError, PictureError
from unprompt.locations.address import is_remote

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.output.formats import Writer
    from unprompt.prediction import Failure

_Work: TypeAlias = "Callable[[ImageRef, Tally], Failure | None]"
"""What is done with one picture: counts it, or returns why it cannot be done."""


def _known_field(name: str | None) -> str | None:
    """Raises DataError if there is no such field."""
    if name is None:
        return None
    from unprompt.output.values import check_field

    return check_field(name)


def metadata(
    paths: Paths,
    format: AnswerFormat = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            callback=unless_dash,
            help=f"Write to FILE instead of standard output, as its ending says: {ENDINGS}; a .txt holds pages, or "
            "lines of --field. FILE may be in a store: s3://BUCKET/FILE. With --strip, the folder for the copies, on "
            "this machine.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    excel: Excel = False,
    field: Annotated[
        str | None,
        typer.Option(
            "--field",
            metavar="NAME",
            callback=_known_field,
            help="Print one value alone, a line for each picture, which is empty where there is none: prompt, "
            "negative, raw, tool, certainty, seed, steps, cfg, sampler, scheduler, model, size, loras, settings, ...",
        ),
    ] = None,
    workflow: Annotated[
        str | None,
        typer.Option("--workflow", metavar="OUT.json", help="Save the graph of ComfyUI in the one picture given."),
    ] = None,
    strip: Annotated[
        bool,
        typer.Option(
            "--strip",
            help="Write copies without any metadata into the folder -o DIR; the pixels are not encoded again.",
        ),
    ] = False,
    no_beside: NoBeside = False,
    quiet: Quiet = False,
) -> None:
    """Show what generators wrote into the files.

    One picture is shown as a page: tool, prompt, negative prompt, settings, resources and other texts. Several are a
    table. Nothing is predicted; a picture in which nothing is written is no error.
    """
    _check(format, output, field, workflow, strip=strip)
    if workflow is not None:
        _save_graph(paths, workflow, overwrite=overwrite)
    elif strip:
        raise typer.Exit(_copy_all(paths, str(output), quiet=quiet))
    else:
        if output is not None:
            from unprompt.output.documents import check_new

            check_new(output, overwrite=overwrite)
        with _opened(format, output, field, excel=excel) as writer:
            bar = output is not None or not sys.stdout.isatty()
            tally = _show_all(paths, writer, read_beside=not no_beside, quiet=quiet, bar=bar)
        raise typer.Exit(_ended(tally, paths, "with a prompt", quiet=quiet))


def _check(format: str | None, output: str | None, field: str | None, workflow: str | None, *, strip: bool) -> None:
    """Raises DataError if two options cannot go together."""
    given = (("--field", field is not None), ("--workflow", workflow is not None), ("--strip", strip))
    chosen = [name for name, is_given in given if is_given]
    if len(chosen) > 1:
        raise DataError(f"expected one thing to do, found {' and '.join(chosen)}; run the command once for each")
    if chosen and format is not None:
        raise DataError(f"expected --format without {chosen[0]}, found both; {chosen[0]} writes no records: omit one")
    if workflow is not None and output is not None:
        raise DataError("expected one file for the graph, found --workflow and -o; omit -o")
    if strip and output is None:
        raise DataError("expected a folder for the copies, found none; name it: -o DIR")
    if field is not None:
        from unprompt.output.formats import format_of

        if (ending := format_of(None, output)) != "text":
            raise DataError(f"expected a .txt file for plain lines, found one for {ending}; omit --field, or rename it")


def _show_all(paths: list[str], writer: Writer, *, read_beside: bool, quiet: bool, bar: bool) -> Tally:
    """Writes what the file of each picture says, and counts."""
    from unprompt.images.written import read_written
    from unprompt.output.records import failure_record, metadata_record
    from unprompt.prediction import Failure

    def show(ref: ImageRef, tally: Tally) -> Failure | None:
        found = read_written(ref, read_beside=read_beside)
        if isinstance(found, Failure):
            writer.write(failure_record(found))
            return found
        writer.write(metadata_record(ref.source, found))
        tally.add_written(found)
        return None

    return _for_all(paths, show, quiet=quiet, bar=bar)


@contextlib.contextmanager
def _opened(format: str | None, output: str | None, field: str | None, *, excel: bool) -> Iterator[Writer]:
    """The writer of what is shown: lines of one value, a page or a table on standard output, or a file."""
    if field is not None:
        from unprompt.output.values import value_of

        with writing("text", output, lambda record: value_of(record, field), excel=excel) as writer:
            yield writer
        return
    from unprompt.output.pages import MetadataTable, metadata_part

    if output is None and format in (None, "text") and not excel:
        with quiet_pipe(), contextlib.closing(MetadataTable(sys.stdout, columns())) as table:
            yield table
    else:
        with writing(format, output, metadata_part, excel=excel) as writer:
            yield writer


def _copy_all(paths: list[str], folder: str, *, quiet: bool) -> int:
    """Writes a copy of each picture without its metadata; returns the exit code."""
    from unprompt.images.metadata.stripping import strip
    from unprompt.output.copies import check_outside, write_copy
    from unprompt.prediction import Failure

    def copy(ref: ImageRef, tally: Tally) -> Failure | None:
        try:
            write_copy(folder, ref, strip(ref.read()))
        except PictureError as error:
            return Failure(ref.source, error.kind, str(error))
        tally.answered += 1
        return None

    on_this_machine(Path(folder))
    check_outside(folder, paths)
    return _ended(_for_all(paths, copy, quiet=quiet), paths, "copied", quiet=quiet)


def _save_graph(paths: list[str], path: str, *, overwrite: bool) -> None:
    """Saves the graph of the only picture. Raises DataError where there are several, or no graph."""
    from unprompt.images.metadata.graphs import workflow_of
    from unprompt.images.selection import readable
    from unprompt.images.sources import image_refs
    from unprompt.output.documents import check_apart, check_new, check_writable, write_document

    check_new(path, overwrite=overwrite)
    check_writable(path)
    check_apart([path], paths)
    ref, *others = itertools.islice(image_refs(paths, selection=readable()), 2)
    if others:
        raise DataError("expected one picture, whose graph is saved, found several; name one")
    try:
        graph = workflow_of(ref.read())
    except PictureError as error:
        raise PictureError(error.kind, f"{ref.source}: {error}") from error
    if graph is None:
        raise DataError(f"expected a graph of ComfyUI in {ref.source}, found none; name another picture")
    write_document(path, graph)


def _for_all(paths: list[str], work: _Work, *, quiet: bool, bar: bool = True) -> Tally:
    """Does the work on each picture, says what fails, and shows how far it is."""
    from unprompt.images.selection import readable
    from unprompt.images.sources import check_stores, image_refs

    check_stores(paths)
    tally = Tally()
    refs = (ref for ref in image_refs(paths, selection=readable()))
    if any(map(is_remote, paths)):  # decoding, of which this is a part, is not imported otherwise
        from unprompt.images.reading import fetched_ahead

        refs = (ref for ref in fetched_ahead(refs))
    is_watched = not quiet and are_many(paths)
    with (
        interruptible(tally, ""),
        Interrupts() as interrupts,
        _watched(paths, tally, bar=bar) if is_watched else contextlib.nullcontext(lambda: None) as advance,
    ):
        for ref in interrupts.between(refs):
            failure = work(ref, tally)
            if failure is not None:
                tally.add(failure)
                say_failure(failure)
            advance()
    return tally


@contextlib.contextmanager
def _watched(paths: list[str], tally: Tally, *, bar: bool) -> Iterator[Callable[[], None]]:
    from unprompt.images.selection import readable

    with counted(paths, tally, readable()), shown(tally, bar=bar) as advance:
        yield advance


def _ended(tally: Tally, paths: list[str], answered: str, *, quiet: bool) -> int:
    """Says what became of many pictures; returns the exit code."""
    if not quiet and are_many(paths) and tally.done > 1:
        say(tally.summary(answered=answered))
    return tally.exit_code

"""Where the answers of one run go: records, vectors, sidecars, failures, and the journal to continue from."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unprompt.cli.options import ENDINGS, AnswerFormat, Excel, Overwrite, Resume, unless_dash
from unprompt.cli.terminal import quiet_pipe, say
from unprompt.errors import DataError, PictureError
from unprompt.locations.address import is_remote
from unprompt.output.filtering import TextFilter
from unprompt.output.formats import PictureWriter, find_format, format_of, open_writer
from unprompt.output.sidecar_kinds import EXISTING, SIDECAR_SUFFIXES, Existing, SidecarSuffix

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.output.files import ContinuedFile
    from unprompt.output.formats import Writer
    from unprompt.output.journal import Journal
    from unprompt.output.phrasing import Phrasing
    from unprompt.output.sidecars import Sidecars
    from unprompt.output.stored_journal import StoredJournal
    from unprompt.output.stored_sidecars import StoredSidecars
    from unprompt.output.vectors import VectorFile
    from unprompt.prediction import Failure, Prediction

JOURNAL_SUFFIX = ".journal"
JOURNAL_OF_SIDECARS = ".unprompt.journal"


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where the answers go, and how they are written.

    Only `predict` has `vectors` and `embedding`; `words` says whether texts say anything, `wanted` which answers are
    written. `positions` are put into the records of a part of a larger run.
    """

    format: AnswerFormat = None
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            callback=unless_dash,
            help=f"Write to FILE instead of standard output, as its ending says: {ENDINGS}; with --sidecar, the folder "
            "for the sidecars. Either may be in a store: s3://BUCKET/FILE.",
        ),
    ] = None
    sidecar: Annotated[
        bool,
        typer.Option(
            "--sidecar",
            help="Write a text file beside each picture or, with -o DIR, in the same folder tree under DIR.",
        ),
    ] = False
    sidecar_suffix: Annotated[
        SidecarSuffix,
        typer.Option(
            "--sidecar-suffix",
            metavar="|".join(SIDECAR_SUFFIXES),
            help="The kind of sidecar: a text alone, or a .json with the whole record and the text as its caption.",
        ),
    ] = ".txt"
    existing: Annotated[
        Existing,
        typer.Option("--existing", metavar="|".join(EXISTING), help="What to do with a sidecar that exists already."),
    ] = "skip"
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="TEXT",
            help="What a text says: {prompt}, {negative_prompt}, {name}, {folder}, {source}, {tool}, {origin}, "
            "{confidence}, {style}, or a setting from the file such as {seed}.",
        ),
    ] = None
    failures: Annotated[
        str | None,
        typer.Option(
            "--failures", metavar="FILE.jsonl", help="Also write failures to FILE.jsonl; @FILE.jsonl tries them again."
        ),
    ] = None
    overwrite: Overwrite = False
    resume: Resume = False
    excel: Excel = False
    vectors: str | None = None
    embedding: bool = False
    words: bool = True
    wanted: TextFilter | None = None
    positions: Sequence[int] | None = None

    def check(self, paths: Sequence[str], *, in_parts: bool = False) -> None:
        """Raises DataError if two options cannot go together, or if something would be overwritten unasked.

        `in_parts` says that -o is the folder of a run in parts.
        """
        if self.sidecar and self.output and os.path.exists(self.output) and not os.path.isdir(self.output):
            raise DataError(
                f"expected a folder for the sidecars, found the file {self.output}; with --sidecar, -o names a folder"
            )
        if self.output is not None and not (self.sidecar or in_parts):
            from unprompt.output.files import check_no_picture

            check_no_picture(self.output)  # an ending that is no format's, and the worst one
        if self.overwrite and self.resume:
            raise DataError("expected one of --overwrite, which starts over, and --resume, which continues; omit one")
        if self.existing != "skip" and not self.sidecar:
            raise DataError("--existing says what becomes of sidecars; add --sidecar")
        if self.sidecar_suffix != ".txt" and not self.sidecar:
            raise DataError("--sidecar-suffix says what sidecars are; add --sidecar")
        if self.wanted is not None and not self.words:
            raise DataError("--must-contain and --drop-if look at sentences; omit --no-text")
        if self.sidecar and self.vectors is not None and self.existing == "skip":
            raise DataError(
                "a picture that is skipped has no vector; with --vectors, --sidecar needs --existing overwrite"
            )
        if self.sidecar and not self.words:
            raise DataError("sidecars hold sentences; omit --no-text, or say with --template what they hold")
        if self.resume and not self._format_resumes:
            raise DataError(
                f"expected a format that --resume can continue, found {self.record_format}, which cannot be; omit "
                "--resume, or choose another --format"
            )
        if self.resume and not self.can_resume:
            raise DataError("--resume needs a place for its journal: -o FILE, --vectors FILE, or --sidecar with -o DIR")
        if self.output and is_remote(self.output) and not (self.sidecar or in_parts) and not self._format_resumes:
            raise DataError(
                f"expected a format that can be continued after a kill for a file in a store, found "
                f"{self.record_format}; write it to this machine and copy it, or choose jsonl, csv or parquet"
            )
        if self.excel and (in_parts or self.record_format != "csv"):
            raise DataError("--excel is for csv; omit it, or write csv: -o FILE.csv or --format csv")
        written = {os.path.realpath(path) for path in (self.output, self.failures, self._order) if path}
        for path in paths:
            if path.startswith("@") and os.path.realpath(path[1:]) in written:
                raise DataError(f"expected another file to write than the list that is read, found {path} for both")
        # What an interrupted run left is told by its journal, once that is open.
        if in_parts or self.journal is None or not os.path.exists(self.journal):
            self.check_new(in_parts=in_parts)

    @property
    def _order(self) -> str | None:
        """The file that says whose the vectors are."""
        return None if self.vectors is None else os.path.splitext(self.vectors)[0] + ".sources.jsonl"

    @property
    def has_begun(self) -> bool:
        """Whether an earlier run may have left what --resume continues; a store is not asked."""
        return self.journal is None or is_remote(self.journal) or os.path.exists(self.journal)

    @property
    def holds_something(self) -> bool:
        """Whether there are answers on this machine already."""
        from unprompt.output.documents import holds_something

        paths = (None if self.sidecar else self.output, self.vectors, self.failures)
        return any(path and not is_remote(path) and holds_something(path) for path in paths)

    def check_new(self, *, in_parts: bool = False) -> None:
        """Raises DataError if a file that would be written is there, unless it is replaced or continued."""
        output = None if self.sidecar or in_parts else self.output
        paths = [path for path in (output, self.vectors, self._order, self.failures) if path]
        if not paths:
            return
        from unprompt.output.documents import check_new
        from unprompt.output.files import check_no_picture

        for path in paths:
            check_no_picture(path)
            check_new(path, overwrite=self.overwrite, resume=self.resume, begun=self.has_begun)

    @property
    def journal(self) -> str | None:
        """The path or address of the journal; None if no output lasts that it could lie beside."""
        if self.sidecar:
            # In a store, those that are there are skipped.
            is_local = self.output is not None and not is_remote(self.output)
            return os.path.join(str(self.output), JOURNAL_OF_SIDECARS) if is_local else None
        if not self._format_resumes:
            return None
        place = self.output or self.vectors
        if place is not None and is_remote(place):
            return place + JOURNAL_SUFFIX
        # A link may lead from where no journal can be, as /dev/stdout does.
        return None if place is None or _is_stream(place) else os.path.realpath(place) + JOURNAL_SUFFIX

    @property
    def writes_records(self) -> bool:
        """Whether each answer is a record somewhere; sidecars or vectors may be all that was asked for."""
        if self.format is not None or (self.output is not None and not self.sidecar):
            return True
        return not self.sidecar and (self.vectors is None or self.words)

    @property
    def shows_vectors(self) -> bool:
        """Whether anything that is written follows from the vector of a written prompt: a text does not."""
        records = self.writes_records and self.record_format != "text"
        return records or self.embedding or self.vectors is not None or self.sidecar_suffix == ".json"

    @property
    def record_format(self) -> str:
        """The name of the format of the records."""
        return format_of(self.format, None if self.sidecar else self.output)

    @property
    def _format_resumes(self) -> bool:
        return not self.writes_records or find_format(self.record_format).can_resume

    @property
    def can_resume(self) -> bool:
        """Whether a next run can continue: by a journal, or because sidecars that exist are skipped."""
        return self.journal is not None or (self.sidecar and self.existing == "skip")

    def check_vectors(self, *, quiet: bool) -> None:
        """Raises DataError if vectors alone were asked for and go nowhere; says so if they were asked for besides."""
        if self.sidecar or self.record_format != "text" or self.vectors is not None:
            return
        if not self.words:
            raise DataError(
                "expected a place for the vectors, found --no-text and only text to write; add --vectors FILE.npy, "
                "-o FILE.jsonl or --format jsonl"
            )
        if self.embedding and not quiet:
            say("vectors are not written as text; add --format jsonl")


@contextlib.contextmanager
def kept_answers(
    options: OutputOptions, model: Mapping[str, Any], **asked: Any
) -> Iterator[Journal | StoredJournal | None]:
    """The journal of this run, removed when the run ends without --resume; None if there is no place for one.

    `model` and `asked` are all that decides an answer, as `settings_key` takes it.

    Raises DataError if an interrupted run left a journal and --resume is missing; JournalBusyError.
    """
    path = options.journal
    # Where the output cannot be either, its own error says it better.
    if path is None or not (options.sidecar or is_remote(path) or os.path.isdir(os.path.dirname(path) or ".")):
        yield None
        return
    from unprompt.output.journal import settings_key

    if options.sidecar:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    journal = _journal_at(path, settings_key(model, **asked), resume=options.resume)
    with contextlib.ExitStack() as leaving:
        leaving.push(functools.partial(_leave, journal, options))
        if not options.resume and not journal.is_empty():
            raise DataError(
                f"answers of an earlier run are in {path}; continue it with --resume, or delete it to start over"
            )
        if not is_remote(path):
            options.check_new()
        yield journal
        if not options.resume:
            journal.close_and_remove()
            leaving.pop_all()


def _journal_at(path: str, settings: str, *, resume: bool) -> Journal | StoredJournal:
    if is_remote(path):
        from unprompt.output.stored_journal import StoredJournal

        return StoredJournal(path, settings, resume=resume)
    from unprompt.output.journal import Journal

    return Journal.open(path, settings)


@contextlib.contextmanager
def placed_outputs(options: OutputOptions) -> Iterator[OutputOptions]:
    """The options with paths on this machine; what has an address is put there when the block ends well."""
    files = {"output": None if options.sidecar else options.output}
    files |= {"failures": options.failures, "vectors": options.vectors}
    if not any(address is not None and is_remote(address) for address in files.values()):
        yield options
        return
    from unprompt.output.placing import placed

    with placed(files) as paths:
        changed: dict[str, Any] = dict(paths)
        yield dataclasses.replace(options, **changed)


def _leave(
    journal: Journal | StoredJournal, options: OutputOptions, kind: type[BaseException] | None, *_error: object
) -> None:
    """Leaves a journal for the next run: if there is anything in it, or if this run wrote at least failures."""
    may_have_written = options.holds_something and not (kind is not None and issubclass(kind, DataError))
    with contextlib.suppress(DataError):  # a full disk is said by whoever met it first
        if journal.is_empty() and not may_have_written:
            journal.close_and_remove()
            return
    journal.close()


@dataclass(frozen=True)
class Outputs:
    """Takes each answer as it comes, and writes all that was asked for."""

    phrasing: Phrasing | None
    embedding: bool
    records: Writer | None
    sidecars: Sidecars | StoredSidecars | None
    vectors: VectorFile | None
    failures: ContinuedFile | None
    kept: TextFilter | None = None

    def wanted(self, ref: ImageRef) -> ImageRef | None:
        """The picture; None if its sidecar exists and is kept; one that fails if it can have no sidecar."""
        if self.sidecars is None:
            return ref
        from unprompt.images.files import Unavailable
        from unprompt.images.ref import ImageRef

        try:
            return ref if self.sidecars.wanted(ref) else None
        except PictureError as error:
            return ImageRef(ref.source, Unavailable(error.kind, str(error)))

    def remark(self, *, skipped: bool) -> str:
        """What to say of sidecars of other kinds, which stay as they are; empty if there were none."""
        if self.sidecars is None or not self.sidecars.others:
            return ""
        kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in self.sidecars.others.items())
        what = "skipped for a sidecar of another kind" if skipped else "sidecars of another kind stay as they are"
        return f"{what}: {kinds}"

    def write(self, ref: ImageRef, answer: Prediction | Failure) -> Prediction | Failure | None:
        """Writes one answer; returns it, or why it could not be written, or None if its text is not wanted."""
        from unprompt.output.jsonl import to_json
        from unprompt.output.records import to_record
        from unprompt.prediction import Failure

        record = to_record(answer, embedding=self.embedding)
        if not isinstance(answer, Failure):
            text = self.phrasing(record) if self.phrasing else record["prompt"]
            if self.kept is not None and not self.kept.keeps(text):
                return None
            if self.sidecars is not None:
                try:
                    self.sidecars.write(ref, text, record)
                except PictureError as error:
                    answer = Failure(ref.source, error.kind, str(error))
                    record = to_record(answer)
        if isinstance(answer, Failure):
            if self.failures is not None:
                self.failures.write(to_json(record) + "\n")
                self.failures.flush()
        else:
            if self.vectors is not None:
                self.vectors.write(answer.source, answer.vector)
            if self.phrasing is not None:
                record["text"] = text
        if isinstance(self.records, PictureWriter):
            self.records.write_picture(record, ref)
        elif self.records is not None:
            self.records.write(record)
        return answer


@contextlib.contextmanager
def opened(options: OutputOptions, phrasing: Phrasing | None, alone: str | None) -> Iterator[Outputs]:
    """All outputs, open; closed at the end with what was written, whatever happens inside.

    `alone` is the only source, whose line of text needs no name in front of it.

    Raises DataError if one cannot be written; only those opened before it have changed then.
    """
    from unprompt.output.text import prompt_line

    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet_pipe())
        records = sidecars = vectors = failures = None
        # The only one that another run may be writing although nobody else has the journal: what follows is emptied.
        if options.vectors is not None:
            from unprompt.output.vectors import VectorFile

            vectors = stack.enter_context(VectorFile(options.vectors, resume=options.resume))
        if options.failures is not None:
            from unprompt.output.files import open_continued

            failures = stack.enter_context(open_continued(options.failures, fresh=not options.resume))
        if options.sidecar:
            sidecars = _sidecars(options)
        # For people alone: a program that reads the lines wants the prompts as they are.
        sure = options.output is None and phrasing is None and sys.stdout.isatty()
        if options.writes_records:
            records = stack.enter_context(
                open_writer(
                    options.record_format,
                    None if options.sidecar else options.output,
                    lambda record: prompt_line(record, named=record["source"] != alone, sure=sure),
                    resume=options.resume,
                    text=phrasing is not None,
                    embedding=options.embedding,
                    excel=options.excel,
                )
            )
            if options.positions is not None:
                from unprompt.scale.listing import Positioned

                records = Positioned(records, options.positions)
        yield Outputs(phrasing, options.embedding, records, sidecars, vectors, failures, options.wanted)


def _sidecars(options: OutputOptions) -> Sidecars | StoredSidecars:
    if options.output is not None and is_remote(options.output):
        from unprompt.output.stored_sidecars import StoredSidecars

        return StoredSidecars(options.output, options.existing, options.sidecar_suffix)
    from unprompt.output.sidecars import Sidecars

    return Sidecars(options.output, options.existing, options.sidecar_suffix)


def _is_stream(path: str) -> bool:
    """Whether what is written there is gone at once: a pipe or a device."""
    return os.path.exists(path) and not os.path.isfile(path)

"""Where the answers of one run go: records, vectors, sidecars, failures, and the journal to go on from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unprompt.cli.options import Existing
from unprompt.cli.terminal import quiet_pipe, say
from unprompt.errors import DataError, PictureError
from unprompt.output.formats import find_format, format_of, open_writer

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.output.files import ContinuedFile
    from unprompt.output.formats import Writer
    from unprompt.output.journal import Journal
    from unprompt.output.phrasing import Phrasing
    from unprompt.output.sidecars import Sidecars
    from unprompt.output.vectors import VectorFile
    from unprompt.prediction import Failure, Prediction

JOURNAL_SUFFIX = ".journal"
JOURNAL_OF_SIDECARS = ".unprompt.journal"


@dataclass(frozen=True)
class OutputOptions:
    """What the user asked for.

    `alone` is the one source whose line of text needs no name in front of it, `words` whether texts say anything.
    """

    format: str | None
    output: str | None
    sidecar: bool
    existing: Existing
    vectors: str | None
    failures: str | None
    embedding: bool
    resume: bool
    alone: str | None
    words: bool

    def check(self) -> None:
        """Raises DataError where two options cannot go together."""
        if self.sidecar and self.output and os.path.exists(self.output) and not os.path.isdir(self.output):
            raise DataError(
                f"expected a folder for the sidecars, found the file {self.output}; with --sidecar, -o names a folder"
            )
        if self.existing is not Existing.SKIP and not self.sidecar:
            raise DataError("--existing says what becomes of sidecars; add --sidecar")
        if self.sidecar and self.vectors is not None and self.existing is Existing.SKIP:
            raise DataError(
                "a picture that is skipped has no vector; with --vectors, --sidecar needs --existing overwrite"
            )
        if self.sidecar and not self.words:
            raise DataError("sidecars hold sentences; leave out --no-text, or say with --template what they hold")
        if self.resume and not self._format_resumes:
            raise DataError(
                f"expected a format that --resume can continue, found {self.record_format}, which cannot be; leave out "
                "--resume, or choose another --format"
            )
        if self.resume and not self.can_resume:
            raise DataError("--resume needs a place for its journal: -o FILE, --vectors FILE, or --sidecar with -o DIR")

    def check_lists(self, paths: Sequence[str]) -> None:
        """Raises DataError where a list that is read would be written meanwhile."""
        for path in paths:
            order = self.vectors and os.path.splitext(self.vectors)[0] + ".sources.jsonl"
            for written in filter(None, (self.output, self.failures, order)):
                if path.startswith("@") and os.path.realpath(path[1:]) == os.path.realpath(written):
                    raise DataError(f"expected another file to write than the list that is read, found {path} for both")

    @property
    def journal(self) -> str | None:
        """The path of the journal; None where nothing lasts that it could lie beside."""
        if self.sidecar:
            return None if self.output is None else os.path.join(self.output, JOURNAL_OF_SIDECARS)
        if not self._format_resumes:
            return None
        place = self.output or self.vectors
        # A link may lead from where no journal can be, as /dev/stdout does.
        return None if place is None or _is_stream(place) else os.path.realpath(place) + JOURNAL_SUFFIX

    @property
    def writes_records(self) -> bool:
        """Whether each answer is a record somewhere; sidecars or vectors may be all that was asked for."""
        if self.format is not None or (self.output is not None and not self.sidecar):
            return True
        return not self.sidecar and (self.vectors is None or self.words)

    @property
    def record_format(self) -> str:
        """The name of the format of the records."""
        return format_of(self.format, None if self.sidecar else self.output)

    @property
    def _format_resumes(self) -> bool:
        return not self.writes_records or find_format(self.record_format).can_resume

    @property
    def can_resume(self) -> bool:
        """Whether a next run can go on: by a journal, or because sidecars that are there are skipped."""
        return self.journal is not None or (self.sidecar and self.existing is Existing.SKIP)


@contextlib.contextmanager
def kept_answers(
    options: OutputOptions, model: Mapping[str, Any], *, text: bool, top: int, ignore_metadata: bool
) -> Iterator[Journal | None]:
    """The journal of this run, removed when it ends whole without --resume; None where there is no place for one.

    The other arguments are all that decides an answer.

    Raises DataError where an interrupted run left one and --resume is missing; JournalBusyError.
    """
    path = options.journal
    # Where the output cannot be either, its own error says it better.
    if path is None or not (options.sidecar or os.path.isdir(os.path.dirname(path) or ".")):
        yield None
        return
    from unprompt.output.journal import Journal, settings_key

    if options.sidecar:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    journal = Journal.open(path, settings_key(model, text=text, top=top, ignore_metadata=ignore_metadata))
    with contextlib.ExitStack() as leaving:
        leaving.callback(_leave, journal)
        if not options.resume and not journal.is_empty():
            raise DataError(f"answers of an earlier run are in {path}; go on with --resume, or delete it to start anew")
        yield journal
        if not options.resume:
            journal.close_and_remove()
            leaving.pop_all()


def _leave(journal: Journal) -> None:
    """Leaves a journal for the next run, if there is anything in it."""
    with contextlib.suppress(DataError):  # a full disk is said by whoever met it first
        if journal.is_empty():
            journal.close_and_remove()
            return
    journal.close()


class Outputs:
    """Takes each answer as it comes, and writes all that was asked for."""

    def __init__(
        self,
        options: OutputOptions,
        phrasing: Phrasing | None,
        *,
        records: Writer | None,
        sidecars: Sidecars | None,
        vectors: VectorFile | None,
        failures: ContinuedFile | None,
    ) -> None:
        self._embedding = options.embedding
        self._phrasing = phrasing
        self._records = records
        self._sidecars = sidecars
        self._vectors = vectors
        self._failures = failures

    def wanted(self, ref: ImageRef) -> ImageRef | None:
        """The picture, or None where its sidecar is there already; one that fails where it cannot have any."""
        from unprompt.images.files import Unavailable
        from unprompt.images.ref import ImageRef

        if self._sidecars is None:
            return ref
        try:
            return ref if self._sidecars.wanted(ref) else None
        except PictureError as error:
            return ImageRef(ref.source, Unavailable(error.kind, str(error)))

    def write(self, ref: ImageRef, answer: Prediction | Failure) -> Prediction | Failure:
        """Write one answer; what comes back is the answer, or why it could not be written."""
        from unprompt.output.jsonl import to_json
        from unprompt.output.records import to_record
        from unprompt.prediction import Failure

        record = to_record(answer, embedding=self._embedding)
        if not isinstance(answer, Failure):
            text = self._phrasing(record) if self._phrasing else record["prompt"]
            if self._sidecars is not None:
                try:
                    self._sidecars.write(ref, text)
                except PictureError as error:
                    answer = Failure(ref.source, error.kind, str(error))
                    record = to_record(answer)
        if isinstance(answer, Failure):
            if self._failures is not None:
                self._failures.write(to_json(record) + "\n")
                self._failures.flush()
        else:
            if self._vectors is not None:
                self._vectors.write(answer.source, answer.vector)
            if self._phrasing is not None:
                record["text"] = text
        if self._records is not None:
            self._records.write(record)
        return answer


@contextlib.contextmanager
def opened(options: OutputOptions, phrasing: Phrasing | None) -> Iterator[Outputs]:
    """All outputs, open; closed at the end with what was written, whatever happens inside.

    Raises DataError where one cannot be written; nothing was changed then but what was opened before it.
    """
    from unprompt.output.files import open_continued
    from unprompt.output.sidecars import Sidecars
    from unprompt.output.text import prompt_line
    from unprompt.output.vectors import VectorFile

    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet_pipe())
        records = sidecars = vectors = failures = None
        # The only one that another run may be writing although nobody else has the journal: what follows is emptied.
        if options.vectors is not None:
            vectors = stack.enter_context(VectorFile(options.vectors, resume=options.resume))
        if options.failures is not None:
            failures = stack.enter_context(open_continued(options.failures, fresh=not options.resume))
        if options.sidecar:
            sidecars = Sidecars(options.output, options.existing.value)
        if options.writes_records:
            records = stack.enter_context(
                open_writer(
                    options.record_format,
                    None if options.sidecar else options.output,
                    lambda record: prompt_line(record, named=record["source"] != options.alone),
                    resume=options.resume,
                    text=phrasing is not None,
                    embedding=options.embedding,
                )
            )
        yield Outputs(options, phrasing, records=records, sidecars=sidecars, vectors=vectors, failures=failures)


def remark_on_vectors(options: OutputOptions, *, no_text: bool) -> None:
    """Says that vectors were asked for and go nowhere."""
    as_text = not options.sidecar and options.record_format == "text"
    if as_text and options.vectors is None and (no_text or options.embedding):
        say("unprompt: vectors are not written as text; add --format jsonl")


def _is_stream(path: str) -> bool:
    """Whether what is written there is gone at once: a pipe or a device."""
    return os.path.exists(path) and not os.path.isfile(path)

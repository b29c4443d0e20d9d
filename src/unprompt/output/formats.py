"""Finds output formats by name: built-in ones, and those of other packages."""

from __future__ import annotations

import contextlib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from unprompt.display import printable
from unprompt.durable import write_errors
from unprompt.errors import DataError, PluginError, UnknownNameError, UnpromptError
from unprompt.plugins import Plugin, find_plugins

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.output.records import Record

FORMATS = ("text", "json", "jsonl", "csv", "parquet", "html")
"""The built-in formats. A name is also the ending of the format's files, and of its module in this folder."""

GROUP = "unprompt.outputs"
"""The entry point group for formats of other packages. Their names are endings too; none replaces a built-in one."""

_OTHER_ENDINGS_OF_TEXT = ("", "txt")

_SPREADSHEETS = ("xls", "xlsx", "xlsm", "ods", "tsv")

Line: TypeAlias = "Callable[[Record], str | None]"
"""Returns what "text" shows of a record, or None to omit it."""


class Stream(Protocol):
    """The stream to which a format writes text."""

    def write(self, text: str, /) -> int:
        """Buffer text."""

    def flush(self) -> None:
        """Write out the buffered text."""


class Writer(Protocol):
    """Writes records one by one. Closing it leaves the stream open."""

    def write(self, record: Record) -> None:
        """Write one record and flush it."""

    def close(self) -> None:
        """Write what follows the last record; also called after an interruption."""


class FileWriter(Writer, Protocol):
    """A writer that opens its own file."""

    def break_off(self) -> None:
        """Close the file after an interrupted run with --resume; the next such run writes all records again."""


@runtime_checkable
class PictureWriter(Writer, Protocol):
    """A writer that shows the pictures themselves."""

    def write_picture(self, record: Record, picture: ImageRef) -> None:
        """Write one record in place of `write`; the picture may no longer be readable."""


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """The options of a writer.

    `line` returns what "text" shows of a record; `text` and `embedding` say whether records have these keys. `excel`
    asks for a table that spreadsheets open as it is meant.
    """

    line: Line
    text: bool = False
    embedding: bool = False
    excel: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """How a format opens a writer: `stream` opens one that writes text to a stream, `file` one that writes to a path.

    A resumed run writes all records again. The stream leaves its file unchanged up to the first difference; for `file`,
    `resumes` says whether the format may be written again.
    """

    stream: Callable[[Stream, WriterOptions], Writer] | None = None
    file: Callable[[str, WriterOptions], FileWriter] | None = None
    resumes: bool = False

    def __post_init__(self) -> None:
        if (self.stream is None) == (self.file is None):
            raise TypeError("expected either `stream` or `file`")

    @property
    def can_resume(self) -> bool:
        """Whether --resume continues its files."""
        return self.stream is not None or self.resumes


def format_of(name: str | None, output: str | None) -> str:
    """The name of the format: `name` or, by default, what the ending of the file says; "text" if it has none.

    Raises DataError for an ending that nobody knows: text under the name of a spreadsheet would help nobody.
    """
    if name is not None:
        return name
    ending = os.path.splitext(output or "")[1].lower().removeprefix(".")
    if ending in FORMATS:
        return ending
    if ending in _OTHER_ENDINGS_OF_TEXT:
        return "text"
    if ending in (plugins := find_plugins(GROUP)):
        return ending
    known = ", ".join(f".{each}" for each in (*_OTHER_ENDINGS_OF_TEXT[1:], *FORMATS[1:], *sorted(plugins)))
    advice = "write .csv with --excel" if ending in _SPREADSHEETS else "rename it, or say --format"
    raise DataError(f"expected a file that ends in one of {known}; found {printable(str(output))}; {advice}")


def find_format(name: str) -> Format:
    """Find a format by name. Raises UnknownNameError, or PluginError if a package's format cannot be imported."""
    if name in FORMATS:
        format: Format = pkgutil.resolve_name(f"unprompt.output.{name}:FORMAT")
        return format
    plugins = find_plugins(GROUP)
    if name not in plugins:
        raise UnknownNameError("format", name, [*FORMATS, *plugins])
    return _blamed(plugins[name].load(Format), plugins[name])


@contextlib.contextmanager
def open_writer(
    name: str,
    output: str | None,
    line: Line,
    *,
    resume: bool = False,
    text: bool = False,
    embedding: bool = False,
    excel: bool = False,
) -> Iterator[Writer]:
    """Open a writer to the file `output`, or to standard output if None; it is closed when the block ends or raises.

    With `resume`, the file keeps its content up to the first difference, as `ContinuedFile` explains. The other
    arguments are those of `WriterOptions`.

    Raises OutputBusyError, DataError if the file cannot be written, MissingExtraError, PluginError.
    """
    if excel and name != "csv":
        raise DataError(f"--excel is for csv, found {name}; omit it, or write csv: -o FILE.csv or --format csv")
    format, options = find_format(name), WriterOptions(line, text, embedding, excel)
    if format.file is not None:
        if output is None:
            raise DataError(f"expected a file for {name}, found a stream; name one: -o FILE.{name}")
        yield from _written_to_file(format.file(output, options), resume=resume)
    elif format.stream is not None:
        if output is None:
            with contextlib.closing(format.stream(sys.stdout, options)) as writer:
                yield writer
        else:
            yield from _continued(format.stream, output, options, resume=resume)


def _written_to_file(writer: FileWriter, *, resume: bool) -> Iterator[Writer]:
    try:
        yield writer
    except BaseException:
        with contextlib.suppress(PluginError):  # the first error counts
            writer.break_off() if resume else writer.close()
        raise
    writer.close()


def _continued(
    stream: Callable[[Stream, WriterOptions], Writer], output: str, options: WriterOptions, *, resume: bool
) -> Iterator[Writer]:
    from unprompt.output.files import open_continued

    with open_continued(output, fresh=not resume) as file:
        writer = stream(file, options)
        try:
            yield writer
        except BaseException:
            # Closing in the middle of a replay would cut off the rest of the old file.
            if not file.replaying:
                with contextlib.suppress(PluginError):
                    writer.close()
            raise
        writer.close()


def _blamed(format: Format, plugin: Plugin) -> Format:
    """Wrap a format of another package, so that its errors name that package."""

    def guarded(make: Any) -> Any:
        return make and (lambda target, options: _GuardedWriter(lambda: make(target, options), _guard(plugin, target)))

    return Format(guarded(format.stream), guarded(format.file), format.resumes)


@contextlib.contextmanager
def _guard(plugin: Plugin, target: Stream | str) -> Iterator[None]:
    """Run a package's code that writes to a stream or a path; its errors name the package or the path."""
    said = write_errors(target) if isinstance(target, str) else contextlib.nullcontext()
    with said, plugin.blamed(may_raise=(UnpromptError, OSError)):
        yield


class _GuardedWriter:
    """A writer of another package, with a guard around each call."""

    def __init__(self, make: Callable[[], Any], guard: contextlib.ContextDecorator) -> None:
        writer = guard(make)()
        self.write = guard(lambda record: writer.write(record))
        self.close = guard(lambda: writer.close())
        self.break_off = guard(lambda: getattr(writer, "break_off", writer.close)())

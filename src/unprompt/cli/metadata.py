"""`unprompt metadata`: what the files say, without any model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from unprompt.cli.options import OutputFile, OutputFormat, Paths
from unprompt.cli.terminal import say_failure, writing
from unprompt.errors import EXIT_SOME_FAILED, PictureError

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.prediction import Failure, WrittenPrompt


def metadata(paths: Paths, format: OutputFormat = None, output: OutputFile = None) -> None:
    """Show what generators wrote into the files.

    Shows the tool, the prompt, the negative prompt and the settings. Nothing is predicted; a picture in which nothing
    is written is no error.
    """
    from unprompt.images.sources import image_refs
    from unprompt.output.records import failure_record, metadata_record
    from unprompt.output.text import metadata_lines
    from unprompt.prediction import Failure

    failed = 0
    with writing(format, output, metadata_lines) as writer:
        for ref in image_refs(paths):
            found = _read(ref)
            if isinstance(found, Failure):
                failed += 1
                writer.write(failure_record(found))
                say_failure(found)
            else:
                writer.write(metadata_record(ref.source, found))
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _read(ref: ImageRef) -> WrittenPrompt | Failure | None:
    """What is written, even if the pixels are damaged; a Failure for what is no picture at all."""
    from unprompt.images import metadata as door
    from unprompt.images.decode import decode
    from unprompt.prediction import Failure

    try:
        written = door.read(ref.read())
    except PictureError as error:
        return Failure(ref.source, error.kind, str(error))
    if written is not None:
        return written
    decoded = decode(ref, shorter_side=1, read_metadata=False)
    return decoded if isinstance(decoded, Failure) else None

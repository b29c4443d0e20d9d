"""Options that several commands share: one thing, one spelling, one help text."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeAlias

import typer


class Format(str, Enum):
    """How answers are written."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


Paths: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="PATH", help="Pictures and folders of pictures; - is standard input.")
]
PresetName: TypeAlias = Annotated[
    str, typer.Option("--preset", metavar="NAME|FILE", help="Which models answer: a preset's name, or a .toml file.")
]
Threads: TypeAlias = Annotated[
    int, typer.Option("--threads", metavar="N", min=0, help="Threads of each model; 0 is one a core.")
]
BatchSize: TypeAlias = Annotated[
    int, typer.Option("--batch-size", metavar="N", min=1, help="Pictures that go through a model at once.")
]
Offline: TypeAlias = Annotated[bool, typer.Option("--offline", help="Never download anything.")]
NoText: TypeAlias = Annotated[bool, typer.Option("--no-text", help="Predict vectors alone, no sentences.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes; errors stay.")]
OutputFile: TypeAlias = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of to standard output.")
]
OutputFormat: TypeAlias = Annotated[
    Format | None,
    typer.Option(
        "--format",
        metavar="text|json|jsonl",
        help="How answers are written. Left out: by the ending of --output FILE, else text.",
    ),
]

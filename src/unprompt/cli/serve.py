"""`unprompt serve`: the service over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from unprompt.cli.options import MOST_PICTURES, MOST_THREADS, option_groups
from unprompt.cli.terminal import return_memory, say
from unprompt.errors import EXIT_USAGE, check_extra


@dataclass(frozen=True, kw_only=True)
class ServiceOptions:
    """What the service answers by, where, and for whom."""

    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            envvar="UNPROMPT_PRESET",
            metavar="NAME|FILE",
            help="The preset that answers, or a .toml file.",
        ),
    ] = "embedded"
    host: Annotated[
        str, typer.Option("--host", envvar="UNPROMPT_HOST", metavar="ADDRESS", help="The address to listen on.")
    ] = "127.0.0.1"
    port: Annotated[
        int,
        typer.Option("--port", envvar="UNPROMPT_PORT", metavar="N", min=0, max=65535, help="The port; 0: a free one."),
    ] = 7799
    bank: Annotated[
        str | None,
        typer.Option(
            "--bank",
            envvar="UNPROMPT_BANK",
            metavar="FOLDER",
            help="The bank of prompts that is searched. Default: the one that comes with the package.",
        ),
    ] = None
    clip: Annotated[
        str,
        typer.Option(
            "--clip",
            envvar="UNPROMPT_CLIP",
            metavar="MODEL",
            help="The model behind /interrogator, such as ViT-L-14.openai.",
        ),
    ] = "embedded"
    api_key_file: Annotated[
        str | None,
        typer.Option(
            "--api-key-file",
            envvar="UNPROMPT_API_KEY_FILE",
            metavar="FILE",
            help="Keys that let in, a line NAME KEY each.",
        ),
    ] = None
    public: Annotated[
        bool,
        typer.Option(
            "--public", envvar="UNPROMPT_PUBLIC", help="Listen on other addresses than loopback without a key."
        ),
    ] = False
    allow_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            envvar="UNPROMPT_ALLOW_HOST",
            metavar="NAME",
            help="A name by which clients may ask, besides localhost and numbers. May be repeated; in the environment, "
            "separated by spaces.",
        ),
    ] = None
    allow_origins: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin",
            envvar="UNPROMPT_ALLOW_ORIGIN",
            metavar="ORIGIN",
            help="Another site whose pages may ask, such as https://example.com. May be repeated.",
        ),
    ] = None
    allow_urls: Annotated[
        bool,
        typer.Option(
            "--allow-urls", envvar="UNPROMPT_ALLOW_URLS", help="Read pictures at public addresses that are sent."
        ),
    ] = False
    queue: Annotated[
        int,
        typer.Option(
            "--queue", envvar="UNPROMPT_QUEUE", metavar="N", min=1, help="Pictures that may wait; more get a 429."
        ),
    ] = 128
    pictures: Annotated[
        int, typer.Option("--pictures", envvar="UNPROMPT_PICTURES", metavar="N", min=1, help="Pictures of one request.")
    ] = 64
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size",
            envvar="UNPROMPT_BATCH_SIZE",
            metavar="N",
            min=1,
            max=MOST_PICTURES,
            help="Pictures that are answered together.",
        ),
    ] = 8
    threads: Annotated[
        int,
        typer.Option(
            "--threads",
            envvar="UNPROMPT_THREADS",
            metavar="N",
            min=0,
            max=MOST_THREADS,
            help="Threads per model; 0: one per core.",
        ),
    ] = 0
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            envvar="UNPROMPT_WORKERS",
            metavar="N",
            min=1,
            max=MOST_THREADS,
            help="Processes, each with its models and queue.",
        ),
    ] = 1
    body_limit_mb: Annotated[
        float,
        typer.Option(
            "--body-limit-mb", envvar="UNPROMPT_BODY_LIMIT_MB", metavar="N", min=0.001, help="Megabytes of a body."
        ),
    ] = 128.0
    file_limit_mb: Annotated[
        float,
        typer.Option(
            "--file-limit-mb",
            envvar="UNPROMPT_FILE_LIMIT_MB",
            metavar="N",
            min=0.001,
            help="Megabytes of a picture's file.",
        ),
    ] = 32.0
    held_mb: Annotated[
        float,
        typer.Option(
            "--held-mb",
            envvar="UNPROMPT_HELD_MB",
            metavar="N",
            min=0.001,
            help="Megabytes of all bodies in memory together.",
        ),
    ] = 512.0
    pixel_limit_mp: Annotated[
        float,
        typer.Option(
            "--pixel-limit-mp", envvar="UNPROMPT_PIXEL_LIMIT_MP", metavar="N", min=0, help="Megapixels of a picture."
        ),
    ] = 100.0
    memory_limit_mb: Annotated[
        float,
        typer.Option(
            "--memory-limit-mb",
            envvar="UNPROMPT_MEMORY_LIMIT_MB",
            metavar="N",
            min=1,
            help="Megabytes to decode a picture.",
        ),
    ] = 950.0
    request_timeout_s: Annotated[
        float,
        typer.Option(
            "--request-timeout-s",
            envvar="UNPROMPT_REQUEST_TIMEOUT_S",
            metavar="N",
            min=0.1,
            help="Seconds of a request.",
        ),
    ] = 300.0
    upload_timeout_s: Annotated[
        float,
        typer.Option(
            "--upload-timeout-s", envvar="UNPROMPT_UPLOAD_TIMEOUT_S", metavar="N", min=0.1, help="Seconds of a body."
        ),
    ] = 30.0
    drain_s: Annotated[
        float,
        typer.Option(
            "--drain-s",
            envvar="UNPROMPT_DRAIN_S",
            metavar="N",
            min=1,
            help="Seconds for requests in work after SIGTERM.",
        ),
    ] = 30.0
    log_prompts: Annotated[
        bool, typer.Option("--log-prompts", envvar="UNPROMPT_LOG_PROMPTS", help="Also log what is answered.")
    ] = False
    offline: Annotated[bool, typer.Option("--offline", envvar="UNPROMPT_OFFLINE", help="Never download anything.")] = (
        False
    )
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing", envvar="UNPROMPT_ALLOW_MISSING", help="Answer without members that are missing."
        ),
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", envvar="UNPROMPT_QUIET", help="Log no requests; faults are still logged.")
    ] = False


@option_groups
def serve(
    *,
    options: ServiceOptions,
    check: Annotated[
        bool, typer.Option("--check", help="Say what is missing to serve so, and exit: 0 if nothing is.")
    ] = False,
) -> None:
    """Serve predictions over HTTP, with a page for people.

    Clients of OpenAI, AUTOMATIC1111, CLIP Interrogator and clip-retrieval are answered in their own language; /docs
    says how to ask. Every option may also come from the environment: UNPROMPT_HOST for --host, and so on. SIGTERM
    ends it once the requests in work are answered.
    """
    check_extra("serve", "'unprompt serve'")
    from unprompt.serve.settings import Settings

    values = {name: value for name, value in vars(options).items() if name not in ("allow_hosts", "allow_origins")}
    settings = Settings(
        **values, allow_hosts=tuple(options.allow_hosts or ()), allow_origins=tuple(options.allow_origins or ())
    )
    if settings.offline:
        from unprompt.models.store.hub_cache import go_offline

        go_offline()
    if check:
        _check(settings)
        return
    from unprompt.serve.safety import check_exposure
    from unprompt.serve.server import serve as run

    check_exposure(settings)
    return_memory()
    run(settings)


def _check(settings: object) -> None:
    from unprompt.serve.checking import faults

    found = 0
    for name, fault in faults(settings):  # type: ignore[arg-type]
        found += fault is not None
        print(f"{name}: {'fine' if fault is None else fault}")
    if found:
        say(f"{found} of these must be mended first")
        raise typer.Exit(EXIT_USAGE)

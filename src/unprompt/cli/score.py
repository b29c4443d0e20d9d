"""`unprompt score`: how near prompts come to a picture."""

from __future__ import annotations

from typing import Annotated

import typer

from unprompt.cli.options import Offline, OutputFormat, PresetName, Quiet, Threads, that_exists
from unprompt.cli.progress import announced
from unprompt.cli.terminal import say, writing


def score(
    picture: Annotated[
        str,
        typer.Argument(metavar="PICTURE", callback=that_exists, help="The picture; - reads it from standard input."),
    ],
    prompts: Annotated[list[str], typer.Argument(metavar="PROMPT", help="Prompts to compare with it.")],
    preset: PresetName = "embedded",
    format: OutputFormat = None,
    threads: Threads = 0,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Say how near each prompt comes to a picture.

    Prints, in the order given, the cosine between the prompt's vector and the one predicted for the picture, a tab, and
    the prompt. A prompt that the file itself holds is ignored.
    """
    from unprompt.output.records import scores_record
    from unprompt.output.text import score_lines
    from unprompt.unprompter import load

    with announced("loading the models and comparing", quiet=quiet):
        model = load(preset, threads=threads, offline=offline)
        scores = model.score(picture, prompts)
    for place, prompt in enumerate(prompts, 1):
        if not model.encoder.reads_all(prompt):
            say(f"prompt {place} is longer than the encoder of sentences reads: the score is its beginning's")
    with writing(format, None, score_lines) as writer:
        writer.write(scores_record(picture, scores))

"""What is read from real files: for each public repository the pictures and videos with a prompt, and those without.

A source is a folder or a bare git directory; nothing of it is copied. `--truth` counts right, wrong and missing answers
where the right one is known: lines such as {"path": "SOURCE/a/b.png", "prompt": "a paper boat"}, with null for a
picture without a prompt. To compare two commits, run each with its own code and `--answers`, the second also with
`--against` and the answers of the first:

PYTHONPATH=../before/src python benchmarks/written_prompts.py SOURCES --answers before.jsonl
python benchmarks/written_prompts.py SOURCES --answers after.jsonl --against before.jsonl [--truth truth.jsonl]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from unprompt.images.metadata import read
from unprompt.images.metadata.cleaning import clean
from unprompt.images.metadata.fields import extract

SUFFIXES = tuple(
    f".{name}"
    for names in ("png jpg jpeg webp avif jxl heic heif gif tif tiff", "mp4 m4v mov webm mkv")
    for name in names.split()
)
LARGEST_BYTES = 200 * 2**20
POINTER = b"version https://git-lfs"  # what git holds in the place of a large file

# Words that a file of a generator holds, whatever reads it: a graph, an infotext, the settings of a tool.
MARKS = re.compile(
    rb'"class_type"|"last_node_id"|Negative prompt: |\bSteps: \d+, |sui_image_params|invokeai_|"sd-metadata"|fooocus'
    rb'|NovelAI|midjourney|"(?:positive_|negative_)?prompt"\s*:|c2pa\.created|trainedAlgorithmicMedia',
    re.IGNORECASE,
)

Answer = Mapping[str, Any]


def files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each picture and video of a folder or a bare git directory, those that are there."""
    found = _committed(source) if (source / "objects").is_dir() else _stored(source)
    return ((name, data) for name, data in found if not data.startswith(POINTER))


def _stored(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file() and path.stat().st_size <= LARGEST_BYTES:
            yield str(path.relative_to(folder)), path.read_bytes()


def _committed(folder: Path) -> Iterator[tuple[str, bytes]]:
    git = ["git", "--git-dir", str(folder)]
    listing = subprocess.run([*git, "ls-tree", "-r", "-z", "-l", "HEAD"], capture_output=True, check=True).stdout
    with subprocess.Popen([*git, "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in filter(None, listing.decode("utf-8", "replace").split("\0")):
            about, _, name = line.partition("\t")
            _, kind, blob, _ = about.split()
            if kind != "blob" or Path(name).suffix.lower() not in SUFFIXES:
                continue
            process.stdin.write(f"{blob}\n".encode())
            process.stdin.flush()
            header = process.stdout.readline().split()
            if header[1:2] != [b"blob"]:  # a partial copy lacks the largest files
                continue
            data = process.stdout.read(int(header[2]))
            process.stdout.read(1)
            if len(data) <= LARGEST_BYTES:
                yield name, data
        process.stdin.close()


def answer(path: str, data: bytes) -> dict[str, Any]:
    """One line of the answers: what is read, whether the file holds texts, whether they are a generator's."""
    start = time.process_time()
    found = read(data)
    seconds = time.process_time() - start
    fields = extract(data)
    held = any(getattr(fields, place, None) for place in ("text", "exif", "xmp", "iptc", "c2pa"))
    line: dict[str, Any] = {"path": path, "text": held, "marked": bool(MARKS.search(data)), "seconds": seconds}
    if found is None:
        return {**line, "prompt": None}
    return {
        **line,
        "prompt": found.prompt,
        "raw": found.raw,
        "negative": found.negative_prompt,
        "tool": found.tool,
        "certainty": getattr(found, "certainty", ""),
        "candidates": list(getattr(found, "candidates", ())),
        "note": getattr(found, "note", ""),
    }


def judge(found: Answer, right: Answer) -> str:
    """Judge an answer by the truth: right, also if only weights and spaces differ; wrong; none; or invented.

    An ambiguous answer that offers the right prompt as another candidate is "offered".
    """
    expected, prompt = right["prompt"], found["prompt"]
    if expected is None:
        return "right" if prompt is None else "invented"
    if prompt is None:
        return "none"
    accepted = {
        spelling for text in [expected, *right.get("also", [])] for spelling in (_bare(text), _bare(clean(text)))
    }
    if accepted & {_bare(prompt), _bare(found.get("raw") or "")}:
        return "right"
    return "offered" if accepted & set(map(_bare, found.get("candidates") or [])) else "wrong"


def _bare(text: str) -> str:
    return " ".join(text.split())


def load(path: Path) -> dict[str, Answer]:
    """Read the lines of a file of answers or truths by path."""
    with path.open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.strip()]
    return {line["path"]: line for line in lines}


def survey(answers: Mapping[str, list[Answer]], truth: Mapping[str, Answer]) -> Table:
    """The table: a line for each source."""
    table = Table("source", title="Prompts that were read", title_justify="left")
    headings = ["pictures", "with text", "a generator's", "prompt", "ambiguous", "no prompt", "ms a picture"]
    headings += ["known", "right", "wrong", "none", "offered", "invented"] if truth else []
    for heading in headings:
        table.add_column(heading, justify="right")
    everything = [found for lines in answers.values() for found in lines]
    for source, lines in [*answers.items(), ("all", everything)]:
        verdicts = Counter(judge(found, truth[found["path"]]) for found in lines if found["path"] in truth)
        counts = [
            len(lines),
            sum(found["text"] for found in lines),
            sum(found["marked"] or found["prompt"] is not None for found in lines),
            sum(found["prompt"] is not None for found in lines),
            sum(found.get("certainty") == "ambiguous" for found in lines),
            sum(found["marked"] and found["prompt"] is None for found in lines),
        ]
        known = [verdicts.total(), *(verdicts[kind] for kind in ("right", "wrong", "none", "offered", "invented"))]
        speed = sum(found["seconds"] for found in lines) / max(1, len(lines)) * 1000
        table.add_row(source, *map(str, counts), f"{speed:.2f}", *(map(str, known) if truth else ()))
    return table


def changes(before: Mapping[str, Answer], after: Iterable[Answer]) -> Iterator[tuple[str, str, Any, Any]]:
    """What changed between two runs: its kind, the path, the prompt before and after."""
    for found in after:
        if (other := before.get(found["path"])) is None:
            continue
        old, new = other["prompt"], found["prompt"]
        if old != new:
            yield "gained" if old is None else "lost" if new is None else "changed", found["path"], old, new


def _name(source: Path) -> str:
    """The last part of a path that says something: a bare directory is often called `repo`."""
    return source.parent.name if source.name in ("repo", ".git") else source.name


def _read_all(sources: Iterable[Path], answers: dict[str, list[Answer]]) -> None:
    for source in sources:
        name = _name(source)
        answers[name] = [answer(f"{name}/{path}", data) for path, data in files(source)]


def _print_lists(
    console: Console, lines: list[Answer], truth: Mapping[str, Answer], options: argparse.Namespace
) -> None:
    def show(title: str, entries: Iterable[str]) -> None:
        if listed := list(entries):
            console.print(
                f"\n{title}: {len(listed)}", *listed[: options.show], sep="\n  ", markup=False, highlight=False
            )

    show("a generator's text, no prompt", (found["path"] for found in lines if found["marked"] and not found["prompt"]))
    for verdict in ("wrong", "none", "offered", "invented"):
        judged = [found for found in lines if found["path"] in truth and judge(found, truth[found["path"]]) == verdict]
        show(verdict, (f"{found['path']}: {found['prompt']!r:.150}" for found in judged))
    if options.against:
        changed = list(changes(load(options.against), lines))
        for kind in ("gained", "lost", "changed"):
            show(kind, (f"{path}: {old!r:.100} -> {new!r:.100}" for what, path, old, new in changed if what == kind))
    answered = [found for found in lines if found["prompt"]]
    sample = random.Random(0).sample(answered, min(options.sample, len(answered)))
    show("a sample for reading", (f"{found['path']} ({found['tool']}): {found['prompt'][:200]}" for found in sample))


def main() -> None:
    """Read all sources, print the table and the lists, write the answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--answers", type=Path, help="write the answers here, one JSON object a line")
    parser.add_argument("--against", type=Path, help="the answers of another run, to list what changed")
    parser.add_argument("--truth", type=Path, help="the right prompts, as far as they are known")
    parser.add_argument("--sample", type=int, default=0, help="answers to print for reading")
    parser.add_argument("--show", type=int, default=40, help="the longest list to print")
    options = parser.parse_args()
    answers: dict[str, list[Answer]] = {}
    _read_all(options.sources, answers)
    lines = [found for group in answers.values() for found in group]
    truth = load(options.truth) if options.truth else {}
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(survey(answers, truth))
    _print_lists(console, lines, truth, options)
    if options.answers:
        with options.answers.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(found, ensure_ascii=False) + "\n" for found in lines)


if __name__ == "__main__":
    main()

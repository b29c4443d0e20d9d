"""What `unprompt data` says of its work: tables, JSON, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from unprompt.cli.terminal import say, show

_VALUES_SHOWN = 20


def finish(
    output: str,
    rows: Iterable[tuple[str, int]],
    counts: dict[str, Any],
    faults: Counter[str],
    json: str | None,
    *,
    quiet: bool,
) -> None:
    """Shows what was done, and what was left out."""
    from rich.table import Table

    table = Table("", show_header=False)
    table.add_column(justify="right")
    for text, count in rows:
        table.add_row(text, f"{count:,}")
    show(table)
    write_json({**counts, "faults": dict(faults)}, json)
    say_faults(faults)
    if not quiet:
        say(f"unprompt: wrote {output}")


def write_json(counts: dict[str, Any], path: str | None) -> None:
    """Writes the counts where a path is given. Raises DataError."""
    from unprompt.output.documents import write_document
    from unprompt.output.jsonl import to_json

    if path is not None:
        write_document(path, to_json(counts, indent=2) + "\n")


def say_faults(faults: Counter[str]) -> None:
    """One line, where records were left out."""
    if faults:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in faults.most_common())
        say(f"unprompt: left out, since they cannot be used: {kinds}")


def show_statistics(summary: dict[str, Any], source: str) -> None:
    """The tables of what a data set is made of."""
    from rich.markup import escape
    from rich.table import Table

    from unprompt.display import printable

    counts = Table("", title=escape(printable(source)), title_justify="left", show_header=False)
    counts.add_column(justify="right")
    tokens = summary["clip_tokens"]
    rows: list[tuple[str, int | str]] = [
        ("records", summary["records"]),
        ("distinct prompts", summary["distinct_prompts"]),
        (f"longer than CLIP reads ({tokens['limit']} tokens)", tokens["over_limit"]),
    ]
    if near := summary.get("near_duplicates"):
        rows.append(
            (
                f"near an earlier one (cosine of {near['threshold']:g} or more)",
                f"{near['count']:,} ({near['share']:.1%})",
            )
        )
    for text, count in rows:
        counts.add_row(text, count if isinstance(count, str) else f"{count:,}")
    show(counts)
    lengths = Table("length in")
    for heading in ("mean", "5 %", "median", "95 %", "most"):
        lengths.add_column(heading, justify="right")
    for text, name in (("words", "words"), ("CLIP tokens", "clip_tokens")):
        found = summary[name]
        lengths.add_row(text, f"{found['mean']:.1f}", *(f"{found[key]:,}" for key in ("p5", "p50", "p95", "max")))
    show(lengths)
    for name, values in {**summary["fields"], "phrase": summary["phrases"]}.items():
        table = Table(name)
        table.add_column("prompts" if name == "phrase" else "records", justify="right")
        for value, count in list(values.items())[:_VALUES_SHOWN]:
            table.add_row(escape(printable(value)), f"{count:,}")
        show(table)

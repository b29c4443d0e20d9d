"""What `unprompt data` says of its work: tables, JSON, and what was skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from unprompt.cli.terminal import add_row, new_table, say, show

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
    """Shows what was done and what was skipped; writes the same to the file `json`."""
    _show_counts(rows)
    write_json({**counts, "faults": dict(faults)}, json)
    say_faults(faults)
    if not quiet:
        say(f"wrote {output}")


def write_json(counts: dict[str, Any], path: str | None) -> None:
    """Writes the counts if a path is given. Raises DataError."""
    from unprompt.output.documents import write_document
    from unprompt.output.jsonl import to_json

    if path is not None:
        write_document(path, to_json(counts, indent=2) + "\n")


def say_faults(faults: Counter[str]) -> None:
    """One line, if records were skipped."""
    if faults:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in faults.most_common())
        say(f"skipped, because they cannot be used: {kinds}")


def show_statistics(summary: dict[str, Any], source: str) -> None:
    """The tables of what a data set is made of."""
    tokens = summary["clip_tokens"]
    rows = [
        ("records", summary["records"]),
        ("distinct prompts", summary["distinct_prompts"]),
        (f"longer than CLIP reads ({tokens['limit']} tokens)", tokens["over_limit"]),
    ]
    if near := summary.get("near_duplicates"):
        told = f"near an earlier one (cosine of {near['threshold']:g} or more)"
        rows.append((told, f"{near['count']:,} ({near['share']:.1%})"))
    _show_counts(rows, source)
    headings = ("mean", "5 %", "median", "95 %", "most")
    lengths = new_table("length in", *headings, right=headings)
    for text, name in (("words", "words"), ("CLIP tokens", "clip_tokens")):
        found = summary[name]
        add_row(lengths, text, f"{found['mean']:.1f}", *(f"{found[key]:,}" for key in ("p5", "p50", "p95", "max")))
    show(lengths)
    for name, values in {**summary["fields"], "phrase": summary["phrases"]}.items():
        counted = "prompts" if name == "phrase" else "records"
        table = new_table(name, counted, right=(counted,))
        for value, count in list(values.items())[:_VALUES_SHOWN]:
            add_row(table, value, f"{count:,}")
        show(table)


def _show_counts(rows: Iterable[tuple[str, int | str]], title: str = "") -> None:
    table = new_table("", "count", right=("count",), title=title, header=False)
    for text, count in rows:
        add_row(table, text, count if isinstance(count, str) else f"{count:,}")
    show(table)

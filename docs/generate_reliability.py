"""Writes docs/guides/reliability.svg, the reliability diagrams of the embedded preset's confidence.

python docs/generate_reliability.py 'TITLE=FILE.json' ...

Each file is that of `unprompt presets calibrate --json` (pictures that the fit had not seen), or of `unprompt evaluate
--json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from unprompt.evaluation.charts import reliability_diagram

FIGURE = Path(__file__).parent / "guides" / "reliability.svg"
SIDE, HEAD, GAP, FOOT = 300, 42, 24, 18
STYLE = """
svg { --ink: #1b1f24; --faint: #5b6470; --line: #d8dde3; --accent: #2f6fab; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6e9ed; --faint: #9aa4b0; --line: #343b44; --accent: #6cabe6; } }
text { fill: var(--faint); font: 11px system-ui, sans-serif; }
.title { fill: var(--ink); font-size: 13px; }
.axis { stroke: var(--line); }
.mean { stroke: var(--ink); stroke-dasharray: 4 3; }
.strip { stroke: var(--accent); stroke-width: 2; }
.dot { fill: var(--accent); }
"""


def figure(panels: Mapping[str, Mapping[str, Any]]) -> str:
    """The diagrams side by side, each under its title and its numbers."""
    width = len(panels) * (SIDE + GAP) - GAP
    height = HEAD + SIDE + FOOT
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>']
    parts.append(f"<style>{STYLE}</style>")
    for place, (title, found) in enumerate(panels.items()):
        left = place * (SIDE + GAP)
        inside, r = f"{100 * found['coverage']:.0f} % in the range", f"r = {found['correlation']:.2f}"
        numbers = f"{found['n']:,} pictures, mean error {found['error']:.3f}, {inside}, {r}"
        parts.append(f'<text class="title" x="{left}" y="15">{escape(title)}</text>')
        parts.append(f'<text x="{left}" y="33">{numbers}</text>')
        box = f'<svg x="{left}" y="{HEAD}" width="{SIDE}" height="{SIDE}" '
        parts.append(reliability_diagram(found["bins"], escape(title)).replace("<svg ", box, 1))
        foot = f'x="{left + SIDE // 2}" y="{height - 3}" text-anchor="middle"'
        parts.append(f"<text {foot}>estimated cosine (across), true cosine (up)</text>")
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Read the files that the arguments name, and write the figure."""
    panels = {}
    for argument in sys.argv[1:]:
        title, _, path = argument.rpartition("=")
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        panels[title or Path(path).stem] = report.get("held_out") or report["confidence"]
    FIGURE.write_text(figure(panels), encoding="utf-8")


if __name__ == "__main__":
    main()

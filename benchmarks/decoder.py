"""How much of a sentence survives its vector: prompts -> MiniLM -> decoder -> MiniLM, mean cosine.

    .venv/bin/python benchmarks/decoder.py ../shared/data/prompts/val.txt --limit 300

Compared in one run: the decoder's likeliest beam, the nearest of its beams, and what `wording` makes of them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from unprompt.answer.wording import BEAMS, Wording
from unprompt.models.store.registry import find_model
from unprompt.text.decoder import Decoder
from unprompt.text.sentence import SentenceEncoder


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("prompts", type=Path, help="a text file, one prompt a line")
    arguments.add_argument("--limit", type=int, default=300, help="prompts to take, evenly spread (default: 300)")
    chosen = arguments.parse_args()
    prompts = chosen.prompts.read_text(encoding="utf-8").splitlines()
    prompts = prompts[:: max(1, len(prompts) // chosen.limit)][: chosen.limit]
    encoder = SentenceEncoder.embedded()
    decoder = Decoder(find_model("sentence_decoder.unprompt"))
    wording = Wording(encoder, decoder)
    rows: dict[str, list[float]] = {"likeliest beam": [], "nearest beam": [], "wording": []}
    started = time.perf_counter()
    for vector in encoder.encode(prompts):
        texts = [sentence.text for sentence in decoder.sentences(vector, BEAMS)]
        cosines = encoder.encode(texts) @ vector
        rows["likeliest beam"].append(float(cosines[0]))
        rows["nearest beam"].append(float(cosines.max()))
        rows["wording"].append(wording.choose(vector, [])[0].similarity)
    print(f"{len(prompts)} prompts of {chosen.prompts.name}, {time.perf_counter() - started:.0f} s")
    for name, values in rows.items():
        print(f"{name:>15}  {np.mean(values):.4f}")


if __name__ == "__main__":
    main()

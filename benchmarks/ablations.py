"""What each training feature is worth: a recipe with one thing changed at a time, several seeds each, one table.

    python benchmarks/ablations.py head ../shared/data/pairs --runs /tmp/ablations
    python benchmarks/ablations.py whole ../shared/data/pairs --runs /tmp/ablations

`head`: the embedded recipe's head alone, on features of the frozen network, which are computed once. `whole`: the whole
network for few steps on a part of the pictures at half the side, from the head that the first group's base has learnt.
Each row is the mean over seeds of the last evaluation, its deviation over seeds, and the difference from the base, seed
by seed; differences below twice their own deviation are no evidence. Rows that are done are read back.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from unprompt.training.run import train_recipe
from unprompt.training.soup import cook

RECIPE = Path(__file__).parent.parent / "recipes" / "embedded-vit.toml"
BASE = "base"
KEYS = ("balanced", "generated", "photo")

HEAD = {
    BASE: [],
    "linear head": ["head.kind=linear", "head.hidden=0"],
    "wide head, 4096": ["head.kind=wide", "head.hidden=4096"],
    "features as they are": ["head.standardise=false"],
    "no dropout": ["head.dropout=0.0"],
    "no average of weights": ["probe.ema=0.0"],
    "no warm-up": ["probe.warmup=0.0"],
    "no decay of the rate": ["probe.final_learning_rate=1e-3"],
    "bf16": ["probe.precision=bf16"],
    "angular loss": ["loss.kind=angular"],
    "cosine + MSE": ["loss.kind=cosine-mse"],
    "contrast 0.05": ["loss.contrastive=0.05"],
    "contrast 0.2": ["loss.contrastive=0.2"],
    "groups not balanced": ["data.group_balance=0.0"],
    "one picture a prompt an epoch": ["data.draw=prompts", "data.group_balance=0.0"],
}
WHOLE = {
    BASE: [],
    "the head alone": ["optimisation.frozen=1.0"],
    "a new head, no probe": ["head.start="],
    "nothing frozen": ["optimisation.frozen=0.0"],
    "three quarters frozen": ["optimisation.frozen=0.75"],
    "one rate for all layers": ["optimisation.layer_decay=1.0"],
    "no average of weights": ["optimisation.ema=0.0"],
    "LoRA of rank 8": ["lora.rank=8", "optimisation.learning_rate=5e-4"],
    "no crops": ["augmentation.crop_scale=1.0"],
    "no flips": ["augmentation.flip=0.0"],
    "erasing 0.25": ["augmentation.erase=0.25"],
    "MixGen 0.25": ["augmentation.mixgen=0.25"],
    "three views": ['sight.views=["whole", "mirrored", "middle"]'],
}
SMALL = ["network.input_size=112", "probe.epochs=0"]
WHOLE_STEPS = ["optimisation.epochs=1", "optimisation.batch_size=32", "optimisation.evaluations=1"]
PART = {"train": 12, "val": 4}  # of every so many pictures, one


def main() -> None:
    """Runs a group and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", choices=("head", "whole"))
    parser.add_argument("pairs", type=Path, help="a folder with train.jsonl and val.jsonl")
    parser.add_argument("--runs", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5, help="of the head")
    chosen = parser.parse_args()
    data = [f"data.train={chosen.pairs / 'train.jsonl'}", f"data.validation={chosen.pairs / 'val.jsonl'}"]
    if chosen.group == "head":
        common = [*data, "optimisation.epochs=0", f"probe.epochs={chosen.epochs}", "probe.evaluations=1"]
        scores = {row: _row(chosen.runs, "head", row, common, changes, chosen.seeds) for row, changes in HEAD.items()}
    else:
        start = _small_head(chosen.runs, data)
        common = [*_part(chosen.pairs, chosen.runs), *SMALL, *WHOLE_STEPS, f"head.start={start}"]
        scores = {row: _row(chosen.runs, "whole", row, common, changes, chosen.seeds) for row, changes in WHOLE.items()}
        scores["soup of the base's seeds"] = [_soup(chosen.runs, chosen.seeds)]
    _print(scores)


def _row(
    runs: Path, group: str, row: str, common: Sequence[str], changes: Sequence[str], seeds: int
) -> list[dict[str, float]]:
    """The last evaluation of each seed."""
    found = []
    for seed in range(seeds):
        folder = _folder(runs, group, row, seed)
        if not (folder / "best").exists():
            _share_cache(folder, runs / f"cache-{group}")
            seeded = [f"optimisation.seed={seed}", f"probe.seed={seed}"]
            train_recipe(RECIPE, [*common, *changes, *seeded], folder)
        found.append(json.loads((folder / "last" / "config.json").read_text(encoding="utf-8"))["score"])
        print(f"{group}, {row}, seed {seed}: {found[-1]}", flush=True)
    return found


def _folder(runs: Path, group: str, row: str, seed: int) -> Path:
    return runs / group / row.replace(" ", "-").replace(",", "") / str(seed)


def _share_cache(folder: Path, cache: Path) -> None:
    """Vectors and features are the same for all rows of a group."""
    cache.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "cache").exists():
        (folder / "cache").symlink_to(cache.resolve(), target_is_directory=True)


def _small_head(runs: Path, data: Sequence[str]) -> Path:
    """The run of a head that has learnt from all pictures at half the side."""
    folder = runs / "small-head"
    if not (folder / "best").exists():
        _share_cache(folder, runs / "cache-small")
        overrides = [*data, "network.input_size=112", "optimisation.epochs=0"]
        train_recipe(RECIPE, overrides, folder, lambda line: print(line, flush=True))
    return folder / "probe"


def _part(pairs: Path, runs: Path) -> list[str]:
    """A part of the data, in a folder that leads to the pictures."""
    folder = runs / "part"
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / "images").symlink_to((pairs / "images").resolve(), target_is_directory=True)
        for name, every in PART.items():
            lines = (pairs / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
            (folder / f"{name}.jsonl").write_text("\n".join(lines[::every]), encoding="utf-8")
    return [f"data.train={folder / 'train.jsonl'}", f"data.validation={folder / 'val.jsonl'}"]


def _soup(runs: Path, seeds: int) -> dict[str, float]:
    folder = runs / "soup"
    cook([_folder(runs, "whole", BASE, seed) for seed in range(seeds)], folder, greedy=False, report=print)
    score: dict[str, float] = json.loads((folder / "config.json").read_text(encoding="utf-8"))["score"]
    return score


def _print(scores: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    print(f"\n| | {' | '.join(KEYS)} | difference |\n|---|{'---|' * len(KEYS)}---|")
    for row, found in scores.items():
        cells = [_spread([score[key] for score in found]) for key in KEYS]
        pairs = zip(found, scores[BASE], strict=False)
        difference = "" if row == BASE else _spread([one["balanced"] - base["balanced"] for one, base in pairs], "+")
        print(f"| {row} | {' | '.join(cells)} | {difference} |")


def _spread(values: Sequence[float], sign: str = "") -> str:
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.4f}{deviation}"


if __name__ == "__main__":
    main()

"""Interrogation beside clip-interrogator 0.6.0: mode best, mode classic of a folder, and the start.

Both have the same open_clip model at full size, with random weights, the same lists with the same vectors, each in its
own cache, the same caption, given as text, the same files and threads. They take turns in one process, but for the
start, where each turn is a process of its own. The times are medians of the turns; beside the ratio of seconds stands
that of processor time, which a busy machine changes less.

"best": a chain of so many steps out of so many candidates. The other one takes minutes for a picture on the CPU, so it
has one turn, in the middle of ours. The lists are cut so that its ranking in chunks, which may lose terms, plays no
role. "classic": all of its 111,000 terms; it goes picture by picture, ours in batches of 8. "start-up": all terms, from
a model that the caller has made, and from a file of weights. In these two the vectors of terms are random: they cost
what real ones do, but for the ten minutes in which those are made. "gpu": best with 2,048 candidates and 32 steps,
models in half precision, ours in batches of 8; there rounding may decide between terms that are nearly equal.

python benchmarks/interrogation.py [PICTURES] [--sections best classic start-up gpu] [--turns 5] [--pictures 50]
PICTURES is a folder; where it has fewer than asked for, they are taken again.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

from unprompt.interrogation.captions import GivenCaption
from unprompt.interrogation.interrogation import Settings
from unprompt.interrogation.interrogator import Interrogator
from unprompt.models.networks.open_clip_backbone import quiet
from unprompt.models.networks.torchvision_cure import cure_torchvision
from unprompt.prediction import Vector
from unprompt.progress import SILENT, Advance, no_advance
from unprompt.threads import core_count
from unprompt.towers.open_clip import OpenClipTowers
from unprompt.towers.two_tower import TwoTower
from unprompt.vocabulary.category import FLAVORS
from unprompt.vocabulary.original import ARTISTS, TRENDINGS
from unprompt.vocabulary.tables import TermTables
from unprompt.vocabulary.vocabulary import Vocabulary, load_vocabulary

cure_torchvision()
import open_clip  # noqa: E402

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SMALL, LARGE = "ViT-B-32", ("ViT-L-14", "ViT-H-14")
ORIGINAL = "clip-interrogator"
CAPTION = "a man standing on a hill"
WEIGHTS = "weights.safetensors"  # the original takes no path with a slash
BATCH, SEED = 8, 0
NAMES_LEFT, FLAVORS_LEFT = 300, 1000  # fewer than 2,048 terms in all, which are the original's chunk
GIVEN, FILE = "given", "file"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

Made = TypeVar("Made")


Cost = npt.NDArray[np.float64]
"""What something took (2,): seconds, and those of the processor."""
Costs = Cost | Sequence[Cost]
"""Of some turns (turns, 2)."""


def timed(way: Callable[..., Made], *arguments: Any) -> tuple[Made, Cost]:
    """What a way makes of the arguments, and what that took."""
    start = np.array([time.perf_counter(), time.process_time()])
    made = way(*arguments)
    return made, np.array([time.perf_counter(), time.process_time()]) - start


def new_table(title: str, options: argparse.Namespace) -> Table:
    """A table with a row a comparison; see `add_row`."""
    title = f"{title}, {options.threads} threads; load {os.getloadavg()[0]:.1f}"
    table = Table("seconds", title=title, title_justify="left")
    for heading in (ORIGINAL, "unprompt", "ratio", "of processor time", "equal"):
        table.add_column(heading, justify="right")
    return table


def add_row(table: Table, name: str, theirs: Costs, ours: Costs, *more: str, share: int = 1) -> None:
    """A comparison of medians, of which each thing took a share."""
    slow, fast = np.median(theirs, axis=0) / share, np.median(ours, axis=0) / share
    table.add_row(name, f"{slow[0]:.4g}", f"{fast[0]:.4g}", *(f"{ratio:.1f}" for ratio in slow / fast), *more)


def random_model(name: str, device: str = "cpu") -> tuple[Any, Any]:
    """A model of open_clip with random weights, the same in each process, and how it wants to see pictures."""
    torch.manual_seed(SEED)
    precision = "fp16" if device == "cuda" else "fp32"
    with quiet():
        model, _, transform = open_clip.create_model_and_transforms(name, precision=precision, device=device)
    return model.eval(), transform


def original(name: str, folder: Path, given: tuple[Any, Any] = (None, None), **options: Any) -> Any:
    """clip-interrogator with its lists and vectors in a folder; without a given model it loads `WEIGHTS`."""
    from clip_interrogator import Config
    from clip_interrogator import Interrogator as Original

    config = Config(
        caption_model_name=None,
        clip_model_name=f"{name}/{WEIGHTS}",
        cache_path=str(folder),
        data_path=str(folder),
        download_cache=False,
        quiet=True,
        **options,
    )
    config.clip_model, config.clip_preprocess = given  # its constructor does not take them
    return Original(config)


def ours(towers: TwoTower, vocabulary: Vocabulary, cache: Path) -> Interrogator:
    """Our own, with everything at hand that mode classic needs, but for weights, which the first picture loads."""
    interrogator = Interrogator(towers, vocabulary, GivenCaption(CAPTION), cache)
    interrogator.prepare(SILENT)
    return interrogator


class AtRandom(OpenClipTowers):
    """A model whose vectors of texts are random, the same each time."""

    def encode_texts(self, texts: Sequence[str], advance: Advance = no_advance) -> Vector:
        rng = np.random.default_rng(zlib.crc32("\n".join(texts).encode()))
        raw = rng.standard_normal((len(texts), self.size), np.float32)
        return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)


def cut(vocabulary: Vocabulary, flavors: int) -> Vocabulary:
    """The first artists and flavors, and all of the other lists; no text stands in two of them."""
    terms = {category.name: category.terms for category in vocabulary.categories}
    names = len(terms[ARTISTS]) // 2  # "by" and "inspired by"
    terms[ARTISTS] = terms[ARTISTS][:NAMES_LEFT] + terms[ARTISTS][names : names + NAMES_LEFT]
    others = {term.casefold() for name in terms.keys() - {FLAVORS} for term in terms[name]}
    own = {term.casefold(): term for term in terms[FLAVORS] if term.casefold() not in others}
    terms[FLAVORS] = tuple(own.values())[:flavors]
    return Vocabulary("cut", tuple(replace(each, terms=terms[each.name]) for each in vocabulary.categories))


def write(vocabulary: Vocabulary, tables: TermTables, name: str, folder: Path) -> None:
    """Lists and vectors, to the bit, as clip-interrogator reads them; it makes the trendings itself."""
    for category in vocabulary.categories:
        digest = hashlib.sha256(",".join(category.terms).encode()).hexdigest()
        tensors: dict[str, npt.NDArray[Any]] = {
            "embeds": np.ascontiguousarray(tables.table(category).vectors),
            "hash": np.frombuffer(digest.encode(), np.int8),
        }
        save_arrays(tensors, folder / f"{name}_{WEIGHTS}_{category.name}.safetensors")
        terms: Sequence[str] = category.terms
        if category.name == ARTISTS:
            terms = [term.removeprefix("by ") for term in terms[: len(terms) // 2]]
        if category.name != TRENDINGS:
            (folder / f"{category.name}.txt").write_text("\n".join(terms), encoding="utf-8")


class Scene:
    """A model, a vocabulary and pictures, for both sides. `folder` is the original's: lists, vectors, weights."""

    def __init__(self, options: argparse.Namespace, name: str, vocabulary: Vocabulary, folder: Path) -> None:
        self.name, self.vocabulary, self.folder = name, vocabulary, folder
        self.cache = folder / "ours"
        self.paths: list[Path] = options.paths
        self.given = random_model(name, "cuda" if name in LARGE else "cpu")
        self.towers = OpenClipTowers.of(self.given[0], name)
        self.terms = sum(len(category.terms) for category in vocabulary.categories)

    def keep_vectors(self, towers: TwoTower) -> None:
        """Vectors of all terms in both caches, as these towers give them."""
        write(self.vocabulary, TermTables(towers, self.cache), self.name, self.folder)

    def original(self, **options: Any) -> Any:
        return original(self.name, self.folder, self.given, **options)

    def ours(self) -> Interrogator:
        return ours(self.towers, self.vocabulary, self.cache)


def opened(path: Path) -> Image.Image:
    """As users of the original do."""
    return Image.open(path).convert("RGB")


def their_best(theirs: Any, paths: Sequence[Path], settings: Settings) -> list[str]:
    """Texts of mode best, a picture at a time."""
    least, most = settings.min_terms, settings.max_terms
    return [theirs.interrogate(opened(path), least, most, caption=CAPTION) for path in paths]


def our_texts(own: Interrogator, paths: Sequence[Path], settings: Settings) -> list[str]:
    """Ours of any mode, in batches."""
    texts = []
    for at in range(0, len(paths), BATCH):
        batch = [own.read(path) for path in paths[at : at + BATCH]]
        texts += [answer.text for answer in own.interrogate_pictures(batch, settings)]
    return texts


def best(options: argparse.Namespace, folder: Path) -> Table:
    """Mode best of one picture."""
    scene = Scene(options, SMALL, cut(load_vocabulary((ORIGINAL,)), FLAVORS_LEFT), folder)
    scene.keep_vectors(scene.towers)
    theirs, own = scene.original(flavor_intermediate_count=options.candidates), scene.ours()
    paths = scene.paths[:1]
    settings = Settings(min_terms=options.steps, max_terms=options.steps, candidates=options.candidates)
    table = new_table(f"best: {SMALL}, {options.candidates:,} candidates, {options.steps} steps", options)
    our_texts(own, paths, replace(settings, min_terms=1, max_terms=1))  # what is done once only
    texts, costs = [], []
    for turn in range(options.turns):
        if turn == options.turns // 2:
            expected, slow = timed(their_best, theirs, paths, settings)
        found, cost = timed(our_texts, own, paths, settings)
        texts += found
        costs.append(cost)
    add_row(table, "a picture", [slow], costs, "yes" if set(texts) == set(expected) else "NO")
    table.caption = f"unprompt by turn: {', '.join(f'{cost[0]:.1f}' for cost in costs)}\n{expected[0]}"
    return table


def classic(options: argparse.Namespace, folder: Path) -> Table:
    """Mode classic of a folder, with vectors at hand, and where its time goes."""
    scene = Scene(options, SMALL, load_vocabulary((ORIGINAL,)), folder)
    scene.keep_vectors(AtRandom.of(scene.given[0], SMALL))
    theirs, own = scene.original(), scene.ours()
    pictures = len(scene.paths)
    batches = [scene.paths[at : at + BATCH] for at in range(0, pictures, BATCH)]
    _classic_batch(theirs, own, batches[0])  # what is done once only
    turns = [[_classic_batch(theirs, own, batch) for batch in batches] for _ in range(options.turns)]
    equal = min(sum(equal for _, equal in turn) for turn in turns)
    costs = np.array([[cost for cost, _ in turn] for turn in turns]).sum(axis=1)  # (turns, sides, 2, 2)
    whole, vectors = costs[:, :, 0], costs[:, :, 1]
    table = new_table(f"classic: {SMALL}, {scene.terms:,} terms, {pictures} pictures", options)
    add_row(table, "a picture", whole[:, 0], whole[:, 1], f"{equal} of {pictures}", share=pictures)
    add_row(table, "of it: the picture's vector", vectors[:, 0], vectors[:, 1], share=pictures)
    add_row(table, "of it: all else", *(whole - vectors).swapaxes(0, 1), share=pictures)
    return table


def _classic_batch(theirs: Any, own: Interrogator, paths: Sequence[Path]) -> tuple[list[list[Cost]], int]:
    """What either side takes for the whole, and for the vectors once more; how many texts are equal."""
    images, pictures = [opened(path) for path in paths], [own.read(path) for path in paths]
    _, slow_vectors = timed(lambda: [theirs.image_to_features(image) for image in images])
    _, fast_vectors = timed(own.towers.encode_images, pictures)
    expected, slow = timed(lambda: [theirs.interrogate_classic(opened(path), caption=CAPTION) for path in paths])
    found, fast = timed(our_texts, own, paths, Settings(mode="classic"))
    equal = sum(one == other for one, other in zip(found, expected, strict=True))
    return [[slow, slow_vectors], [fast, fast_vectors]], equal


def start_up(options: argparse.Namespace, folder: Path) -> Table:
    """How long it takes until either side is there."""
    scene = Scene(options, SMALL, load_vocabulary((ORIGINAL,)), folder)
    save_file(scene.given[0].state_dict(), folder / WEIGHTS)
    for towers in (AtRandom.of(scene.given[0], SMALL), AtRandom(SMALL, weights=str(folder / WEIGHTS))):
        scene.keep_vectors(towers)
    table = new_table(f"start-up: {SMALL}, vectors on disk, mode classic", options)
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for _ in range(options.turns):
        for way in itertools.product((GIVEN, FILE), (ORIGINAL, "unprompt")):
            runs.setdefault(way, []).append(_started(*way, scene, options.threads))
    rows = {
        "the model is given; ready": (GIVEN, "ready"),
        "the model is given; first text": (GIVEN, "answered"),
        "weights in a file; first text": (FILE, "answered"),
        "weights in a file; first text, a whole process": (FILE, "process"),
    }
    for name, (source, point) in rows.items():
        slow, fast = ([np.array(run[point]) for run in runs[source, side]] for side in (ORIGINAL, "unprompt"))
        texts = {run["text"] for side in (ORIGINAL, "unprompt") for run in runs[source, side]}
        add_row(table, name, slow, fast, "yes" if len(texts) == 1 else "NO")
    return table


def _started(source: str, side: str, scene: Scene, threads: int) -> dict[str, Any]:
    """`start` in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", source, side, str(threads)]
    command += [str(scene.folder), str(scene.cache), str(scene.paths[0])]
    began = time.time()
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=scene.folder)
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    result["process"] = (result["until"] - began, result["processor_s"])
    return result


def start(source: str, side: str, threads: int, folder: Path, cache: Path, path: Path) -> dict[str, Any]:
    """Seconds and processor time until a side is ready, and until it has answered; both start with its imports done."""
    torch.set_num_threads(threads)
    given = random_model(SMALL) if source == GIVEN else (None, None)
    if side == ORIGINAL:
        import clip_interrogator  # noqa: F401

        theirs, ready = timed(original, SMALL, folder, given)
        text, answer = timed(lambda: theirs.interrogate_classic(opened(path), caption=CAPTION))
    else:

        def made() -> Interrogator:
            towers = OpenClipTowers.of(given[0], SMALL) if given[0] else OpenClipTowers(SMALL, weights=WEIGHTS)
            return ours(towers, load_vocabulary((ORIGINAL,)), cache)

        own, ready = timed(made)
        found, answer = timed(lambda: own.interrogate(path, mode="classic"))
        text = found.text
    return {
        "ready": ready.tolist(),
        "answered": (ready + answer).tolist(),
        "until": time.time(),
        "processor_s": time.process_time(),
        "text": text,
    }


def gpu(options: argparse.Namespace, folder: Path) -> Table:
    """Mode best of some pictures by large models on a GPU; the rows are seconds a picture."""
    table = new_table(f"gpu: best, 2,048 candidates, 32 steps, {torch.cuda.get_device_name()}", options)
    for side in (ORIGINAL, "unprompt"):
        table.add_column(f"{side}, pictures/min", justify="right")
    for name in LARGE:
        _add_model(table, name, options, folder)
        torch.cuda.empty_cache()  # the next model needs the room
    return table


def _add_model(table: Table, name: str, options: argparse.Namespace, folder: Path) -> None:
    settings = Settings(min_terms=8, max_terms=32, candidates=2048)
    scene = Scene(options, name, cut(load_vocabulary((ORIGINAL,)), 3 * FLAVORS_LEFT), folder)
    scene.keep_vectors(scene.towers)
    # With all lists in one chunk its ranking loses no terms; the texts of a step are one batch in any case.
    theirs, own = scene.original(chunk_size=scene.terms, device="cuda"), scene.ours()
    paths, pictures = scene.paths, len(scene.paths)
    short = replace(settings, min_terms=1, max_terms=1)  # a GPU's kernels are loaded at their first use
    their_best(theirs, paths[:1], short)
    our_texts(own, paths[:BATCH], short)
    slow, fast, equal = [], [], pictures
    for _ in range(options.turns):
        expected, cost = timed(their_best, theirs, paths, settings)
        slow.append(cost)
        found, cost = timed(our_texts, own, paths, settings)
        fast.append(cost)
        equal = min(equal, sum(one == other for one, other in zip(found, expected, strict=True)))
    rates = [f"{60 * pictures / np.median(costs, axis=0)[0]:.1f}" for costs in (slow, fast)]
    add_row(table, name, slow, fast, f"{equal} of {pictures}", *rates, share=pictures)


def chosen(folder: Path, count: int) -> list[Path]:
    """So many pictures from all over a folder."""
    found = sorted(path for path in folder.resolve().rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        sys.exit(f"expected pictures in {folder}, found none: name a folder with some")
    return list(itertools.islice(itertools.cycle(found[:: max(1, len(found) // count)]), count))


SECTIONS = {"best": best, "classic": classic, "start-up": start_up, "gpu": gpu}


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=EXAMPLES)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=["best", "classic", "start-up"])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--candidates", type=int, default=1024, help="of best on the CPU")
    parser.add_argument("--steps", type=int, default=8, help="of best on the CPU")
    parser.add_argument("--threads", type=int, default=core_count())
    options = parser.parse_args()
    if "gpu" in options.sections and not torch.cuda.is_available():
        parser.error("the section gpu needs a GPU that torch can see; leave it out")
    torch.set_num_threads(options.threads)
    options.paths = chosen(options.folder, options.pictures)
    for name in options.sections:
        with tempfile.TemporaryDirectory(prefix="unprompt-interrogation-") as place:
            Console(width=None if sys.stdout.isatty() else 130).print(SECTIONS[name](options, Path(place)))


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of names that torch no longer likes in the original
    if sys.argv[1:2] == ["--measure"]:
        source, side, threads, folder, cache, path = sys.argv[2:]
        print(json.dumps(start(source, side, int(threads), Path(folder), Path(cache), Path(path))))
    else:
        main()

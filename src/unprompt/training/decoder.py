"""The decoder as a task for the training loop: texts, their vectors, and batches of similar length."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn

from unprompt.durable import replace_file
from unprompt.errors import DataError
from unprompt.models.store.image_model import CONCEPTS
from unprompt.prediction import STYLES, Vector
from unprompt.progress import SILENT, Report, Step, no_report
from unprompt.text.content_words import content_stems
from unprompt.text.phrases import PHRASES
from unprompt.training.concepts import names_of_artists
from unprompt.training.decoder_network import NEW, SentenceDecoder
from unprompt.training.held_out_views import Views, held_out_views
from unprompt.training.loop import Batch
from unprompt.training.neighbours import Neighbours
from unprompt.training.pairs import Draw
from unprompt.training.recipe import Recipe
from unprompt.training.targets import target_vectors
from unprompt.training.texts import normalise, read_texts
from unprompt.training.weights import put_start_weights

START, END = "<start>", "<end>"
UNSCORED = -100

PHRASE_TEXTS, PHRASE_WORDS = 12, 4
"""The texts in which a phrase has to occur, and the most words that it may have."""

_PHRASE = re.compile(r"[a-z0-9](?!.* by )[a-z0-9 '-]{2,40}")
_PART_END = re.compile(r"[,.;] ")
SHUFFLE_WINDOW = 64  # batches sorted by length at a time: little padding, yet still shuffled


@dataclass(frozen=True)
class Examples:
    """Texts as tokens, and the vector (n, 384) of each."""

    tokens: list[list[int]]
    vectors: Vector

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Described:
    """Pictures as a regressor sees them, and the tokens of each one's texts, those that fit; photos have captions."""

    views: Views
    tokens: list[list[list[int]]]

    @property
    def photo(self) -> npt.NDArray[np.bool_]:
        """Whether each is a photo (n,)."""
        return self.views.pairs.photo


class DecoderTask:
    """Learns p(sentence | vector) by teacher forcing, from texts' vectors or mixtures with those of neighbours.

    With a run of a regressor, it learns p(sentence | what the regressor sees, style) from that run's pictures too.
    """

    def __init__(self, recipe: Recipe, folder: Path, report: Report = no_report, step: Step = SILENT) -> None:
        self.options, self.seed = recipe.decoder, recipe.optimisation.seed
        texts = read_texts([Path(path) for path in self.options.texts])
        held_out = set(read_texts([Path(self.options.validation)]))
        texts = [text for text in texts if text not in held_out]
        self.tokenizer = self._find_tokenizer(texts, folder / "tokenizer.json")
        vocabulary = self.tokenizer.get_vocab()
        self._start, self._end = vocabulary[START], vocabulary[END]
        replace_file(folder / PHRASES, "".join(f"{text}\n" for text in find_phrases(texts)).encode())
        texts += [text for text in recombine(texts, self.options.recombined, self.seed) if text not in held_out]
        self.examples = self._tokenise(texts, folder / "cache")
        self.validation = self._tokenise(sorted(held_out), folder / "cache")
        self.metric = "mixed" if self.options.neighbours else "likelihood"
        if self.options.neighbours:
            self.neighbours = Neighbours(self.examples.vectors, self.options.neighbours, folder / "cache", self.seed)
            self.nearest = self.neighbours.of(self.examples.vectors, "train")
        self.pictures: Described | None = None
        self.held_out_pictures: Described | None = None
        if self.options.pictures:
            self.metric = "pictures"
            run, folds = Path(self.options.pictures), self.options.folds
            train, held = held_out_views(run, folds, folder / "cache", report, step)
            self.pictures, self.held_out_pictures = self._describe(train), self._describe(held)
            self.draw = Draw(train.pairs, recipe.data)
            self.draw.weights *= [bool(texts) for texts in self.pictures.tokens]
            shutil.copyfile(run / CONCEPTS, folder / CONCEPTS)
        torch.manual_seed(self.seed)
        self.model = SentenceDecoder(
            vocabulary_size=self.tokenizer.get_vocab_size(),
            max_length=self.options.max_length,
            width=self.options.width,
            depth=self.options.depth,
            heads=self.options.heads,
            dropout=self.options.dropout,
            concepts=0 if self.pictures is None else self.pictures.views.concepts.shape[1],
        )
        if self.options.start_weights:
            put_start_weights(self.model, Path(self.options.start_weights), new=NEW if self.pictures else ())

    def steps(self, batch_size: int) -> int:
        found = len(self.examples)
        if found < batch_size:
            raise DataError(f"expected a batch of {batch_size} texts that max_length has room for, found {found}")
        if self.pictures is None:
            return found // batch_size
        return len(self.draw) // batch_size + self._text_batches(batch_size)

    def batches(self, epoch: int, batch_size: int, start: int, rows: slice) -> Iterator[Batch]:
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.examples))
        texts = _by_length(order, [len(self.examples.tokens[index]) for index in order], batch_size, rng)
        plan: list[tuple[npt.NDArray[np.intp], list[list[int]] | None]] = [(batch, None) for batch in texts]
        if self.pictures is not None:
            plan = plan[: self._text_batches(batch_size)] + self._picture_plan(self.pictures, batch_size, rng)
            plan = [plan[place] for place in rng.permutation(len(plan))]
        for number, (batch, tokens) in enumerate(plan[start:], start):
            drawn = np.random.default_rng((self.seed, epoch, number))
            if tokens is None:
                yield self._text_batch(batch[rows], drawn)
            else:
                yield self._seen_batch(batch[rows], tokens[rows], drawn)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        vector = batch["vector"]
        if self.options.noise and model.training:
            size = self.options.noise * torch.rand(len(vector), 1, device=vector.device)
            vector = F.normalize(vector + size * F.normalize(torch.randn_like(vector)))
        logits, _ = model(batch["tokens"], vector, None, batch.get("concepts"), batch.get("style"))
        return F.cross_entropy(logits.flatten(0, 1).float(), batch["labels"].flatten(), ignore_index=UNSCORED)

    def depth_of(self, parameter: str) -> int:
        return 0

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean log-likelihood per token, given true vectors; mixed ones and views of pictures if it learns them."""
        vectors = self.validation.vectors
        metrics = {"likelihood": self._likelihood(model, vectors)}
        if self.options.neighbours:
            nearest = self.neighbours.of(vectors, "validation")
            mixed = self.neighbours.mix(vectors, nearest, np.random.default_rng(self.seed))
            metrics["mixed"] = self._likelihood(model, mixed)
        if self.held_out_pictures is not None:
            photo = self.held_out_pictures.photo
            kinds = {"generated": np.flatnonzero(~photo), "photo": np.flatnonzero(photo)}
            found = {kind: self._picture_likelihood(model, places) for kind, places in kinds.items() if len(places)}
            metrics |= {"pictures": float(np.mean(list(found.values()))), **found}
        return metrics

    def _likelihood(self, model: nn.Module, vectors: Vector) -> float:
        losses = []
        for at in range(0, len(vectors), 128):
            chosen = np.arange(at, min(at + 128, len(vectors)))
            batch = self._batch([self.validation.tokens[index] for index in chosen], vectors[chosen])
            losses.append(self._loss_on_device(model, batch))
        return -float(np.mean(losses))

    def _picture_likelihood(self, model: nn.Module, places: npt.NDArray[np.intp]) -> float:
        assert self.held_out_pictures is not None
        losses = []
        for at in range(0, len(places), 128):
            texts = [self.held_out_pictures.tokens[place][:1] for place in places[at : at + 128]]
            chosen = [place for place, several in zip(places[at : at + 128], texts, strict=True) if several]
            tokens = [several[0] for several in texts if several]
            batch = self._view_batch(
                self.held_out_pictures, np.array(chosen), tokens, [STYLES.index("prompt")] * len(chosen)
            )
            losses.append(self._loss_on_device(model, batch))
        return -float(np.mean(losses))

    def _loss_on_device(self, model: nn.Module, batch: Batch) -> float:
        device = next(model.parameters()).device
        return float(self.loss(model, {key: value.to(device) for key, value in batch.items()}))

    def _text_batches(self, batch_size: int) -> int:
        """The number of batches without pictures in an epoch with pictures."""
        wanted = round(self.options.texts_a_picture * len(self.draw) / batch_size)
        return min(wanted, len(self.examples) // batch_size)

    def _text_batch(self, chosen: npt.NDArray[np.intp], drawn: np.random.Generator) -> Batch:
        vectors = self.examples.vectors[chosen]
        if self.options.neighbours:
            vectors = self.neighbours.mix(vectors, self.nearest[chosen], drawn)
        return self._batch([self.examples.tokens[index] for index in chosen], vectors)

    def _picture_plan(
        self, pictures: Described, batch_size: int, rng: np.random.Generator
    ) -> list[tuple[npt.NDArray[np.intp], list[list[int]] | None]]:
        """Batches of the pictures of an epoch, with one of the texts of each."""
        chosen = self.draw.epoch(rng)
        texts = [pictures.tokens[place][rng.integers(len(pictures.tokens[place]))] for place in chosen]
        batches = _by_length(np.arange(len(chosen)), [len(ids) for ids in texts], batch_size, rng)
        return [(chosen[batch], [texts[place] for place in batch]) for batch in batches]

    def _seen_batch(
        self, chosen: npt.NDArray[np.intp], tokens: Sequence[list[int]], drawn: np.random.Generator
    ) -> Batch:
        """Pictures with a text each. Half of the captions are asked for as sentences."""
        assert self.pictures is not None
        plain = self.pictures.photo[chosen] & (drawn.random(len(chosen)) < 0.5)
        styles = np.where(plain, STYLES.index("sentence"), STYLES.index("prompt"))
        return self._view_batch(self.pictures, chosen, tokens, styles.tolist())

    def _view_batch(
        self, pictures: Described, places: npt.NDArray[np.intp], tokens: Sequence[list[int]], styles: Sequence[int]
    ) -> Batch:
        views = pictures.views
        return self._batch(tokens, views.vectors[places]) | {
            "concepts": torch.from_numpy(views.concepts[places].astype(np.float32)),
            "style": torch.tensor(styles),
        }

    def _find_tokenizer(self, texts: Sequence[str], path: Path) -> Tokenizer:
        """The tokenizer of the start weights, if they come with one, or else one that fits the texts."""
        if self.options.start_weights and not path.exists():
            given = Path(self.options.start_weights).with_name(path.name)
            if given.is_file():
                replace_file(path, given.read_bytes())
        return _tokenizer(texts, self.options.vocabulary_size, path)

    def _tokenise(self, texts: Sequence[str], cache: Path) -> Examples:
        vectors = target_vectors(texts, cache)
        encoded = self._encode(texts)
        # A text that would be cut no longer matches its vector, so it is left out.
        kept = [index for index, ids in enumerate(encoded) if self._fits(ids)]
        return Examples([encoded[index] for index in kept], vectors[kept])

    def _describe(self, views: Views) -> Described:
        return Described(views, [self._shortened(list(map(normalise, texts))) for texts in views.pairs.texts])

    def _shortened(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts as tokens; of one that is too long, the parts at its beginning for which there is room."""
        found = []
        for text, ids in zip(texts, self._encode(texts), strict=True):
            parts = _PART_END.split(text)
            while not self._fits(ids) and len(parts) > 1:
                parts.pop()
                (ids,) = self._encode([", ".join(parts)])
            if self._fits(ids):
                found.append(ids)
        return found

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [[self._start, *encoding.ids, self._end] for encoding in self.tokenizer.encode_batch(list(texts))]

    def _fits(self, ids: Sequence[int]) -> bool:
        return len(ids) <= self.options.max_length + 1

    def _batch(self, ids: Sequence[Sequence[int]], vectors: Vector) -> Batch:
        longest = max(map(len, ids))
        tokens = torch.zeros(len(ids), longest, dtype=torch.long)
        unscored = torch.ones(len(ids), longest, dtype=torch.bool)
        for row, several in enumerate(ids):
            tokens[row, : len(several)] = torch.tensor(several)
            unscored[row, : len(several)] = False
        labels = tokens.masked_fill(unscored, UNSCORED)
        return {"tokens": tokens[:, :-1], "labels": labels[:, 1:], "vector": torch.from_numpy(vectors)}


def _by_length(
    order: npt.NDArray[np.intp], lengths: Sequence[int], batch_size: int, rng: np.random.Generator
) -> list[npt.NDArray[np.intp]]:
    """Shuffled batches of items (n,) that are about as long as each other; `lengths` are theirs (n,)."""
    whole = len(order) // batch_size * batch_size
    order, sizes = order[:whole], np.array(lengths[:whole])
    window = SHUFFLE_WINDOW * batch_size
    windows = [slice(at, at + window) for at in range(0, whole, window)]
    sorted_order = np.concatenate([order[part][np.argsort(sizes[part], kind="stable")] for part in windows])
    return list(rng.permutation(sorted_order.reshape(-1, batch_size)))


def find_phrases(texts: Sequence[str]) -> list[str]:
    """Parts of up to four words that stand in many prompts, most frequent first; without names of artists."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update({part.strip(" .") for part in text.split(",")} if "," in text else ())
    named = names_of_artists(texts)
    return [
        part
        for part, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if count >= PHRASE_TEXTS
        and _PHRASE.fullmatch(part)
        and len(part.split()) <= PHRASE_WORDS
        and content_stems(part)
        and named.isdisjoint(content_stems(part))
    ]


def recombine(texts: Sequence[str], count: int, seed: int) -> list[str]:
    """Make `count` new texts from the first parts of one prompt, cut at commas, and other parts of it or another."""
    draw = random.Random(seed)
    several = [text for text in texts if text.count(",") >= 1]
    made = []
    for _ in range(count if several else 0):
        subject = [part.strip() for part in draw.choice(texts).split(",") if part.strip()]
        style = [part.strip() for part in draw.choice(several).split(",") if part.strip()]
        kept = subject[: draw.randint(1, len(subject))] if subject else []
        added = draw.sample(style[1:], min(len(style) - 1, draw.randint(0, 3))) if len(style) > 1 else []
        made.append(", ".join([*kept, *added]))
    return [text for text in made if len(text) > 3]


def _tokenizer(texts: Sequence[str], size: int, path: Path) -> Tokenizer:
    if path.exists():
        return Tokenizer.from_file(str(path))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    replace_file(path, tokenizer.to_str(pretty=True).encode())
    return tokenizer

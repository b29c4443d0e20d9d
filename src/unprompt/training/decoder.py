"""The decoder as a task for the training loop: texts, their vectors, and batches of similar length."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn

from unprompt.durable import replace_file
from unprompt.errors import DataError
from unprompt.text.words import FUNCTION_WORDS, WORDS
from unprompt.training.decoder_network import SentenceDecoder
from unprompt.training.loop import Batch
from unprompt.training.neighbours import Neighbours
from unprompt.training.recipe import Recipe
from unprompt.training.targets import target_vectors
from unprompt.training.texts import read_texts
from unprompt.training.weights import put_start_weights

START, END = "<start>", "<end>"
UNSCORED = -100
RARE = 20
"""A word in fewer parts of texts than this is not worth storing its vector."""
NAME_SHARE = 0.3
SHUFFLE_WINDOW = 64  # batches sorted by length at a time: little padding, yet still shuffled


class DecoderTask:
    """Learns p(sentence | vector) by teacher forcing, from texts' vectors or mixtures with those of neighbours."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.options, self.seed = recipe.decoder, recipe.optimisation.seed
        texts = read_texts([Path(path) for path in self.options.texts])
        held_out = set(read_texts([Path(self.options.validation)]))
        texts = [text for text in texts if text not in held_out]
        self.tokenizer = _tokenizer(texts, self.options.vocabulary_size, folder / "tokenizer.json")
        write_words(texts, self.tokenizer, folder / WORDS)
        texts += [text for text in recombine(texts, self.options.recombined, self.seed) if text not in held_out]
        self.examples = self._tokenise(texts, folder / "cache")
        self.validation = self._tokenise(sorted(held_out), folder / "cache")
        self.metric = "mixed" if self.options.neighbours else "likelihood"
        if self.options.neighbours:
            self.neighbours = Neighbours(self.examples[1], self.options.neighbours, folder / "cache", self.seed)
            self.nearest = self.neighbours.of(self.examples[1], "train")
        torch.manual_seed(self.seed)
        self.model = SentenceDecoder(
            vocabulary_size=self.tokenizer.get_vocab_size(),
            max_length=self.options.max_length,
            width=self.options.width,
            depth=self.options.depth,
            heads=self.options.heads,
            dropout=self.options.dropout,
        )
        if self.options.start_weights:
            put_start_weights(self.model, Path(self.options.start_weights))

    def steps(self, batch_size: int) -> int:
        found = len(self.examples[0])
        if found < batch_size:
            raise DataError(f"expected a batch of {batch_size} texts that max_length has room for, found {found}")
        return found // batch_size

    def batches(self, epoch: int, batch_size: int, start: int, rows: slice) -> Iterator[Batch]:
        rng = np.random.default_rng((self.seed, epoch))
        lengths = np.array([len(ids) for ids in self.examples[0]])
        order = rng.permutation(len(lengths))[: self.steps(batch_size) * batch_size]
        window = SHUFFLE_WINDOW * batch_size
        windows = [order[at : at + window] for at in range(0, len(order), window)]
        sorted_order = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in windows])
        for number, batch in enumerate(rng.permutation(sorted_order.reshape(-1, batch_size))[start:], start):
            batch = batch[rows]
            made = self._batch(self.examples, batch)
            if self.options.neighbours:
                drawn = np.random.default_rng((self.seed, epoch, number))
                mixed = self.neighbours.mix(self.examples[1][batch], self.nearest[batch], drawn)
                made["vector"] = torch.from_numpy(mixed)
            yield made

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        vector = batch["vector"]
        if self.options.noise and model.training:
            size = self.options.noise * torch.rand(len(vector), 1, device=vector.device)
            vector = F.normalize(vector + size * F.normalize(torch.randn_like(vector)))
        logits, _ = model(batch["tokens"], vector)
        return F.cross_entropy(logits.flatten(0, 1).float(), batch["labels"].flatten(), ignore_index=UNSCORED)

    def depth_of(self, parameter: str) -> int:
        return 0

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean log-likelihood per token, given the true vectors and, if training mixes vectors, given mixed ones."""
        vectors = self.validation[1]
        metrics = {"likelihood": self._likelihood(model, vectors)}
        if self.options.neighbours:
            nearest = self.neighbours.of(vectors, "validation")
            mixed = self.neighbours.mix(vectors, nearest, np.random.default_rng(self.seed))
            metrics["mixed"] = self._likelihood(model, mixed)
        return metrics

    def _likelihood(self, model: nn.Module, vectors: npt.NDArray[np.float32]) -> float:
        losses, device = [], next(model.parameters()).device
        for at in range(0, len(vectors), 128):
            chosen = np.arange(at, min(at + 128, len(vectors)))
            batch = self._batch(self.validation, chosen) | {"vector": torch.from_numpy(vectors[chosen])}
            losses.append(float(self.loss(model, {key: value.to(device) for key, value in batch.items()})))
        return -float(np.mean(losses))

    def _tokenise(self, texts: Sequence[str], cache: Path) -> tuple[list[list[int]], npt.NDArray[np.float32]]:
        vectors = target_vectors(texts, cache)
        vocabulary = self.tokenizer.get_vocab()
        start, end = vocabulary[START], vocabulary[END]
        encoded = [[start, *encoding.ids, end] for encoding in self.tokenizer.encode_batch(list(texts))]
        # A text that would be cut no longer matches its vector, so it is left out.
        kept = [index for index, ids in enumerate(encoded) if len(ids) <= self.options.max_length + 1]
        return [encoded[index] for index in kept], vectors[kept]

    def _batch(self, examples: tuple[list[list[int]], npt.NDArray[np.float32]], chosen: npt.NDArray[np.intp]) -> Batch:
        ids, vectors = examples
        longest = max(len(ids[index]) for index in chosen)
        tokens = torch.zeros(len(chosen), longest, dtype=torch.long)
        unscored = torch.ones(len(chosen), longest, dtype=torch.bool)
        for row, index in enumerate(chosen):
            tokens[row, : len(ids[index])] = torch.tensor(ids[index])
            unscored[row, : len(ids[index])] = False
        labels = tokens.masked_fill(unscored, UNSCORED)
        return {"tokens": tokens[:, :-1], "labels": labels[:, 1:], "vector": torch.from_numpy(vectors[chosen])}


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


def write_words(texts: Sequence[str], tokenizer: Tokenizer, path: Path) -> None:
    """Write the words that are single tokens and occur in many texts, one a line, without function words and names.

    A word that mostly occurs in parts with "by" is taken for an artist's name.
    """
    known = {tokenizer.decode([index]).strip() for index in range(tokenizer.get_vocab_size())} - FUNCTION_WORDS
    seen: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for text in texts:
        for part in text.split(","):
            words = {word for word in re.findall(r"[a-z]{3,}", part) if word in known}
            seen.update(words)
            if " by " in f" {part} ":
                named.update(words)
    kept = [word for word, count in seen.items() if count >= RARE and named[word] < NAME_SHARE * count]
    replace_file(path, ("\n".join(sorted(kept)) + "\n").encode())


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

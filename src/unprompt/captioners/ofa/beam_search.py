"""Beam search as OFA's authors have it (torch).

Scores are sums of log probabilities over the number of tokens, the end among them. A hypothesis that ends among the
best `beams` leaves, and others take its place, so that the beams stay as many; a picture is finished once it has
`beams` hypotheses. After fairseq's SequenceGenerator, https://github.com/facebookresearch/fairseq.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from unprompt.captioners.ofa.configuration import END, PAD, START


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How captions are sought; the defaults are those of the published ensemble.

    No n-gram of `no_repeat_ngram_size` tokens comes twice (0: any may). Lengths are in tokens without the end. What
    makes sense is for `CaptionSettings` to say.
    """

    beams: int = 5
    no_repeat_ngram_size: int = 2
    min_length: int = 1
    max_length: int = 20


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A finished sequence, start and end left out, and its mean log probability."""

    tokens: tuple[int, ...]
    score: float


class Continuation(Protocol):
    """What a model says comes next."""

    def logits(self, tokens: Tensor) -> Tensor:
        """tokens (rows, length), all from the start on; returns the logits of the next (rows, vocabulary)."""

    def keep(self, rows: Tensor, pictures: Tensor) -> None:
        """Told after each step: which rows, and which pictures, of those before go on; as many rows for each."""


@torch.inference_mode()
def search(
    model: Continuation, pictures: int, settings: SearchSettings, device: torch.device
) -> list[list[Hypothesis]]:
    """The hypotheses of each picture, best first.

    There are as many as beams, or fewer where the vocabulary holds too few sequences; none where the model's numbers
    are none (NaN).
    """
    found: list[list[Hypothesis]] = [[] for _ in range(pictures)]
    going = list(range(pictures))
    tokens = torch.full((pictures, 1), START, device=device)  # (rows, length); at first one row a picture
    scores = torch.zeros((pictures, 1), device=device)  # (pictures that go on, rows of each)
    for step in range(settings.max_length + 1):
        allowed = _log_probabilities(model.logits(tokens), tokens, step, settings)  # (rows, vocabulary)
        totals = (scores.flatten()[:, None] + allowed).view(len(going), -1)
        best = _best(totals, allowed.shape[1], settings.beams)
        for picture, ended in zip(going, best.ended(tokens, settings.beams), strict=True):
            found[picture] += ended[: settings.beams - len(found[picture])]
        stay = [at for at, picture in enumerate(going) if len(found[picture]) < settings.beams]
        if not stay or step == settings.max_length:
            break
        going = [going[at] for at in stay]
        kept = torch.tensor(stay, device=device)
        rows, added, scores = best.beams(kept, settings.beams)
        tokens = torch.cat([tokens[rows], added[:, None]], 1)
        model.keep(rows, kept)
    return [sorted(hypotheses, key=lambda hypothesis: -hypothesis.score) for hypotheses in found]


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The best continuations of each picture, best first; all tensors are (pictures, candidates)."""

    totals: Tensor
    rows: Tensor
    tokens: Tensor
    ends: Tensor

    def ended(self, tokens: Tensor, beams: int) -> list[list[Hypothesis]]:
        """The hypotheses of each picture that end among its first `beams` candidates; tokens (rows, length) so far."""
        length = tokens.shape[1]  # the start counts for the end
        return [
            [
                Hypothesis(tuple(tokens[self.rows[at, place], 1:].tolist()), self.totals[at, place].item() / length)
                for place, ends in enumerate(of_picture)
                if ends
            ]
            for at, of_picture in enumerate(self.ends[:, :beams].tolist())
        ]

    def beams(self, kept: Tensor, beams: int) -> tuple[Tensor, Tensor, Tensor]:
        """The rows that go on and what is added to each (kept * beams), and their totals (kept, beams)."""
        places = self.ends[kept].to(torch.uint8).argsort(dim=1, stable=True)[:, :beams]
        rows, added = self.rows[kept].gather(1, places), self.tokens[kept].gather(1, places)
        return rows.flatten(), added.flatten(), self.totals[kept].gather(1, places)


def _best(totals: Tensor, vocabulary: int, beams: int) -> _Candidates:
    """The best of totals (pictures, rows of each * vocabulary): twice as many as beams, since half of them may end."""
    values, places = totals.topk(2 * beams, dim=1)
    tokens = places % vocabulary
    first_rows = torch.arange(len(totals), device=totals.device)[:, None] * (totals.shape[1] // vocabulary)
    return _Candidates(values, first_rows + places // vocabulary, tokens, (tokens == END) & values.isfinite())


def _log_probabilities(logits: Tensor, tokens: Tensor, step: int, settings: SearchSettings) -> Tensor:
    """Of each next token (rows, vocabulary), in float32; minus infinity for those that must not come."""
    values = logits.float().log_softmax(dim=1)
    values = values.masked_fill(values.isnan(), -torch.inf)
    values[:, PAD] = -torch.inf
    if step < settings.min_length:
        values[:, END] = -torch.inf
    if step == settings.max_length:
        end = values[:, END].clone()
        values.fill_(-torch.inf)
        values[:, END] = end
    elif 0 < settings.no_repeat_ngram_size <= tokens.shape[1]:
        values.scatter_(1, _repetitions(tokens, settings.no_repeat_ngram_size), -torch.inf)
    return values


def _repetitions(tokens: Tensor, size: int) -> Tensor:
    """The tokens that would complete an n-gram of `size` once more, (rows, n-grams); PAD, never allowed, for none."""
    ngrams = tokens.unfold(1, size, 1)  # (rows, n-grams, size)
    begun = tokens[:, tokens.shape[1] - size + 1 :]  # (rows, size - 1)
    again = (ngrams[..., :-1] == begun[:, None]).all(-1)
    return torch.where(again, ngrams[..., -1], PAD)

"""Beam search as in OFA's reference implementation (torch).

A score is the sum of log probabilities divided by the number of tokens, including the end. A hypothesis that ends among
the best `beams` is finished and replaced, so that the number of beams stays the same; a picture is finished once it has
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
    """Options of the search; the defaults are those of the published ensemble.

    No n-gram of `no_repeat_ngram_size` tokens occurs twice (0: no such rule). Lengths are in tokens without the end.
    `CaptionSettings` checks the bounds.
    """

    beams: int = 5
    no_repeat_ngram_size: int = 2
    min_length: int = 1
    max_length: int = 20


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A finished sequence without start and end, and its mean log probability."""

    tokens: tuple[int, ...]
    score: float


class Continuation(Protocol):
    """A model that predicts the next token."""

    def logits(self, tokens: Tensor) -> Tensor:
        """Logits of the next token (rows, vocabulary), given all tokens (rows, length) from the start on."""

    def keep(self, rows: Tensor, pictures: Tensor) -> None:
        """Called after each step with the indices of the rows and pictures that continue, equally many rows each."""


@torch.inference_mode()
def search(
    model: Continuation, pictures: int, settings: SearchSettings, device: torch.device
) -> list[list[Hypothesis]]:
    """The hypotheses of each picture, best first.

    There are as many as beams, fewer if the vocabulary allows too few sequences, and none if the logits are NaN.
    """
    found: list[list[Hypothesis]] = [[] for _ in range(pictures)]
    going = list(range(pictures))
    tokens = torch.full((pictures, 1), START, device=device)  # (rows, length); at first one row per picture
    scores = torch.zeros((pictures, 1), device=device)  # (unfinished pictures, rows of each)
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
        """Each picture's hypotheses that end among its first `beams` candidates; tokens (rows, length) so far."""
        length = tokens.shape[1]  # counts the start in place of the end
        return [
            [
                Hypothesis(tuple(tokens[self.rows[at, place], 1:].tolist()), self.totals[at, place].item() / length)
                for place, ends in enumerate(of_picture)
                if ends
            ]
            for at, of_picture in enumerate(self.ends[:, :beams].tolist())
        ]

    def beams(self, kept: Tensor, beams: int) -> tuple[Tensor, Tensor, Tensor]:
        """The rows that continue and the token added to each (kept * beams), and their totals (kept, beams)."""
        places = self.ends[kept].to(torch.uint8).argsort(dim=1, stable=True)[:, :beams]
        rows, added = self.rows[kept].gather(1, places), self.tokens[kept].gather(1, places)
        return rows.flatten(), added.flatten(), self.totals[kept].gather(1, places)


def _best(totals: Tensor, vocabulary: int, beams: int) -> _Candidates:
    """The best 2 * beams of totals (pictures, rows of each * vocabulary), since up to half of them may be ends."""
    values, places = totals.topk(2 * beams, dim=1)
    tokens = places % vocabulary
    first_rows = torch.arange(len(totals), device=totals.device)[:, None] * (totals.shape[1] // vocabulary)
    return _Candidates(values, first_rows + places // vocabulary, tokens, (tokens == END) & values.isfinite())


def _log_probabilities(logits: Tensor, tokens: Tensor, step: int, settings: SearchSettings) -> Tensor:
    """Log probabilities of the next token (rows, vocabulary) in float32; minus infinity for tokens not allowed."""
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
    """The tokens (rows, n-grams) that would repeat an n-gram of `size`; PAD, which is never allowed, for no token."""
    ngrams = tokens.unfold(1, size, 1)  # (rows, n-grams, size)
    begun = tokens[:, tokens.shape[1] - size + 1 :]  # (rows, size - 1)
    again = (ngrams[..., :-1] == begun[:, None]).all(-1)
    return torch.where(again, ngrams[..., -1], PAD)

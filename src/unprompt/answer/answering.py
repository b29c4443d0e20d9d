"""How a preset answers a picture: its members vote, the votes are fused, and words are found for the fused vector."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from unprompt.answer.codebook import Codebook, check_codebook
from unprompt.answer.fusing import fuse, fuse_concepts
from unprompt.answer.wording import Wording
from unprompt.images.decode import Picture
from unprompt.members.device_room import Turns
from unprompt.members.opening import open_members
from unprompt.members.written import NAME as METADATA
from unprompt.members.written import written_vote
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.registry import find_model
from unprompt.prediction import CONCEPTS_LIMIT, Candidate, Prediction, Vector, Vote, WrittenPrompt
from unprompt.presets import Preset
from unprompt.progress import Step
from unprompt.text.decoder import Decoder
from unprompt.text.sentence import SentenceEncoder
from unprompt.version import __version__

_log = logging.getLogger(__name__)


class Answering:
    """Answers pictures by one preset. Models are loaded when they are first needed.

    `members` are those that vote; `missing` says of each of the others, by its name, why it does not. May be used by
    several threads at once. Raises as `unprompt.load` does.
    """

    def __init__(self, preset: Preset, *, threads: int = 0, allow_missing: bool = False) -> None:
        if not allow_missing:
            preset.check_extras()
        self.preset = preset
        self._threads = threads
        self._codebook_folder = None if preset.codebook is None else find_model(preset.codebook.model)
        if self._codebook_folder is not None:
            check_codebook(self._codebook_folder)
        membership = open_members(preset.members, threads, allow_missing=allow_missing)
        self.members, self.missing = membership.members, membership.missing
        self._turns = Turns(self.members, taken=preset.take_turns)
        for name, why in self.missing.items():
            _log.warning("unprompt goes on without the member %s: %s", name, why)

    @property
    def shorter_side(self) -> int | None:
        """How many pixels a picture's shorter side must have for all members; None: as many as the file has."""
        sides = [member.shorter_side for member in self.members]
        return None if None in sides else max(side for side in sides if side is not None)

    @functools.cached_property
    def encoder(self) -> SentenceEncoder:
        """The model that turns sentences into vectors."""
        return SentenceEncoder.embedded(self._threads)

    def prepare(self, step: Step) -> None:
        """Prepares each member: see `Member.prepare`."""
        for member in self.members:
            self._turns.prepare(member, step)

    def load(self, *, words: bool) -> None:
        """Loads what comes after the votes, so that it is there when they are."""
        _ = self._codebook
        if words:
            self._wording.load()

    def votes(self, pictures: Sequence[Picture]) -> list[tuple[Vote, ...]]:
        """Each picture's votes, in the order of the members. Raises what `Member.vote` does."""
        if not pictures:
            return []
        votes = [self._turns.vote(member, pictures) for member in self.members]
        return list(zip(*map(self._with_vectors, votes), strict=True))

    def answer(self, picture: Picture, votes: tuple[Vote, ...], top: int) -> Prediction:
        """The prediction of a picture from its votes, with up to `top` candidates; 0: without words."""
        fused = self.fused(votes)
        candidates = self._candidates(fused, votes) if top else ()
        votes = tuple(map(_shortened, votes))
        return Prediction(
            source=picture.source,
            prompt=candidates[0].text if candidates else "",
            origin="prediction",
            vector=self._drawn(fused) if _has_vector(votes) else fused,
            self_similarity=self._self_similarity(candidates, votes),
            candidates=candidates[:top],
            votes=votes,
            written=picture.written,
            model=self._model(self._identities(with_words=top > 0)),
            concepts=fuse_concepts(votes),
        )

    def answer_written(self, source: str, written: WrittenPrompt, top: int = 1) -> Prediction:
        """The prediction of a picture whose file holds its prompt; no member is asked.

        If the file is ambiguous, up to `top` prompts that it could mean are the candidates, in its own order.
        """
        (vector,) = self.encoder.encode([written.prompt])
        others = [(text, self.encoder.encode([text])[0]) for text in written.candidates[1:top]]
        return Prediction(
            source=source,
            prompt=written.prompt,
            origin="metadata",
            vector=vector,
            self_similarity=1.0,
            candidates=(
                Candidate(written.prompt, 1.0, METADATA),
                *(Candidate(text, float(other @ vector), METADATA) for text, other in others),
            ),
            votes=(written_vote(written, vector),),
            written=written,
            model=self._model(_identity(self.encoder.folder)),
        )

    def fused(self, votes: Sequence[Vote]) -> Vector:
        """The fused unit vector (384,) of a picture's votes; that of an empty text, where no vote has a vector."""
        return fuse(votes) if _has_vector(votes) else self.encoder.encode([""])[0]

    def identity(self, *, words: bool) -> Mapping[str, Any]:
        """All that computes an answer: the version, the preset, and each model by its hash."""
        return self._model({**self._identities(with_words=words), **_identity(self.encoder.folder)})

    def _self_similarity(self, candidates: Sequence[Candidate], votes: Sequence[Vote]) -> float | None:
        """The cosine of the prompt with the fused vector; with the picture, where a lone member measured that."""
        if not candidates:
            return None
        lone = votes[0].text_similarity if self.preset.wording is None and len(votes) == 1 else None
        return candidates[0].similarity if lone is None else lone

    def _with_vectors(self, votes: Sequence[Vote]) -> list[Vote]:
        """A vote that is only a text gets the text's vector; each is encoded alone, to be the same in any batch."""
        return [
            replace(vote, vector=self.encoder.encode(vote.texts[:1])[0]) if vote.vector is None and vote.texts else vote
            for vote in votes
        ]

    def _drawn(self, fused: Vector) -> Vector:
        """The fused vector drawn towards the codebook, if the preset has one."""
        spec, codebook = self.preset.codebook, self._codebook
        if spec is None or codebook is None:
            return fused
        drawn: Vector = codebook.draw(fused[None], share=spec.share, sharpness=spec.sharpness)[0]
        return drawn

    def _candidates(self, fused: Vector, votes: Sequence[Vote]) -> tuple[Candidate, ...]:
        offers = [(text, vote.member) for vote in votes for text in vote.texts]
        (candidates,) = self._wording.choose(fused[None], [offers])
        return candidates

    @functools.cached_property
    def _codebook(self) -> Codebook | None:
        return None if self._codebook_folder is None else Codebook.read(self._codebook_folder)

    @functools.cached_property
    def _wording(self) -> Wording:
        if self._decoder_folder is None:
            return Wording(self.encoder, None)
        return Wording(self.encoder, Decoder(self._decoder_folder, self._threads))

    @functools.cached_property
    def _decoder_folder(self) -> ModelFolder | None:
        wording = self.preset.wording
        return None if wording is None else find_model(wording.decoder)

    def _identities(self, *, with_words: bool) -> dict[str, str]:
        """The hash of each model behind a prediction, by its name."""
        identities = {name: hash for member in self.members for name, hash in member.identities().items()}
        if self._codebook_folder is not None:
            identities |= _identity(self._codebook_folder)
        if with_words and self._decoder_folder is not None:
            identities |= _identity(self._decoder_folder) | _identity(self.encoder.folder)
        return identities

    def _model(self, identities: Mapping[str, str]) -> Mapping[str, Any]:
        """What computed an answer; the hashes change with every byte of the preset and the models."""
        missing = {"missing": dict(self.missing)} if self.missing else {}
        return {
            "unprompt": __version__,
            "preset": self.preset.name,
            "preset_hash": self.preset.identity,
            "models": dict(identities),
            **missing,
        }


def _identity(folder: ModelFolder) -> dict[str, str]:
    return {folder.name: folder.identity()}


def _shortened(vote: Vote) -> Vote:
    """The vote with as many of its concepts as an answer keeps."""
    return vote if len(vote.concepts) <= CONCEPTS_LIMIT else replace(vote, concepts=vote.concepts[:CONCEPTS_LIMIT])


def _has_vector(votes: Sequence[Vote]) -> bool:
    return any(vote.vector is not None for vote in votes)

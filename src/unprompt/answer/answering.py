"""How a preset answers a picture: its members vote, the votes are fused, and words are found for the fused vector."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from unprompt.answer.codebook import Codebook, check_codebook
from unprompt.answer.confidence import Calibration, fitted_to
from unprompt.answer.fusing import fuse, fuse_concepts
from unprompt.answer.style import check_style
from unprompt.answer.wording import Wording
from unprompt.images.blank import described, is_blank
from unprompt.images.decode import Picture
from unprompt.members.device_room import Turns
from unprompt.members.opening import open_members
from unprompt.members.written import NAME as METADATA
from unprompt.members.written import written_vote
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.registry import SENTENCE_ENCODER, find_model
from unprompt.prediction import CONCEPTS_LIMIT, Candidate, Confidence, Prediction, Style, Vector, Vote, WrittenPrompt
from unprompt.presets import Preset
from unprompt.progress import Step
from unprompt.text.decoder import Decoder
from unprompt.text.sentence import SentenceEncoder
from unprompt.version import __version__

_log = logging.getLogger(__name__)


class Answering:
    """Answers pictures by one preset. Models are loaded when they are first needed.

    `members` are those that vote; `missing` says of each of the others, by its name, why it does not. May be used by
    several threads at once. `style` is the style of words where no other is asked for; None: the preset's. Raises as
    `unprompt.load` does.
    """

    def __init__(
        self, preset: Preset, *, threads: int = 0, allow_missing: bool = False, style: Style | None = None
    ) -> None:
        if not allow_missing:
            preset.check_extras()
        self.preset = preset
        self._threads = threads
        self.style = check_style(style or ("prompt" if preset.wording is None else preset.wording.style))
        self._wordings: dict[Style, Wording] = {}
        self._codebook_folder = None if preset.codebook is None else find_model(preset.codebook.model)
        if self._codebook_folder is not None:
            check_codebook(self._codebook_folder)
        self._calibration = None if preset.confidence is None else Calibration(preset.confidence)
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
        return SentenceEncoder(self._encoder_folder, self._threads)

    @functools.cached_property
    def _quick_encoder(self) -> SentenceEncoder:
        """The same model, quick, to choose among texts."""
        return SentenceEncoder(self._encoder_folder, self._threads, quick=True)

    def prepare(self, step: Step) -> None:
        """Prepares each member: see `Member.prepare`."""
        for member in self.members:
            self._turns.prepare(member, step)

    def load(self, *, words: bool, style: Style | None = None) -> None:
        """Loads what comes after the votes, so that it is there when they are."""
        _ = self._codebook
        if self._is_calibrated and self._calibration is not None:
            _ = self._calibration.codebook
        if words:
            with ThreadPoolExecutor(1, "unprompt-load") as beside:  # a session is opened outside Python, on one core
                encoder = beside.submit(lambda: self._quick_encoder)
                _ = self._decoder
                encoder.result()
            self._wording(style).load()

    def close(self) -> None:
        """Waits for the votes under way, and frees the members' memory."""
        self._turns.close()

    def votes(self, pictures: Sequence[Picture]) -> list[tuple[Vote, ...]]:
        """Each picture's votes, in the order of the members. Raises what `Member.vote` does."""
        if not pictures:
            return []
        votes = [self._turns.vote(member, pictures) for member in self.members]
        return list(zip(*map(self._with_vectors, votes), strict=True))

    def answer(self, picture: Picture, votes: tuple[Vote, ...], top: int, style: Style | None = None) -> Prediction:
        """The prediction of a picture from its votes, with up to `top` candidates; 0: without words."""
        fused, blank = self.fused(votes), is_blank(picture.pixels)
        if blank and self.preset.wording is not None:  # whatever a decoder says of nothing is invented
            votes = tuple(replace(vote, concepts=()) for vote in votes)
            candidates = self._plain(fused, described(picture.pixels)) if top else ()
        else:
            candidates = self._candidates(fused, votes, style) if top else ()
        votes = tuple(map(_shortened, votes))
        prompt = candidates[0].text if candidates else ""
        return Prediction(
            source=picture.source,
            prompt=prompt,
            origin="prediction",
            vector=self._drawn(fused) if _has_vector(votes) else fused,
            self_similarity=self._self_similarity(candidates, votes),
            candidates=candidates[:top],
            votes=votes,
            written=picture.written,
            model=self._model(self._identities(with_words=top > 0), words=top > 0, style=style),
            confidence=self._confidence(fused, votes, blank=blank),
            concepts=fuse_concepts(votes),
            is_cut=bool(prompt) and not self._quick_encoder.reads_all(prompt),
        )

    def answer_written(self, source: str, written: WrittenPrompt, top: int = 1, *, vectors: bool = True) -> Prediction:
        """The prediction of a picture whose file holds its prompt; no member is asked.

        If the file is ambiguous, up to `top` prompts that it could mean are the candidates, in its own order. Without
        `vectors`, no model at all is loaded: the vector is empty, (0,), and the prompt the only candidate.
        """
        own = Candidate(written.prompt, 1.0, METADATA)
        vector = self.encoder.encode([written.prompt])[0] if vectors else None
        others = written.candidates[1:top] if vector is not None else ()
        candidates = (Candidate(text, float(self.encoder.encode([text])[0] @ vector), METADATA) for text in others)
        return Prediction(
            source=source,
            prompt=written.prompt,
            origin="metadata",
            vector=np.empty(0, np.float32) if vector is None else vector,
            self_similarity=1.0,
            candidates=(own, *candidates),
            votes=(written_vote(written, vector),),
            written=written,
            model=self._model(_identity(self._encoder_folder)),
            is_cut=vectors and not self.encoder.reads_all(written.prompt),
        )

    def fused(self, votes: Sequence[Vote]) -> Vector:
        """The fused unit vector (384,) of a picture's votes; that of an empty text, where no vote has a vector."""
        return fuse(votes) if _has_vector(votes) else self.encoder.encode([""])[0]

    def identity(self, *, words: bool, style: Style | None = None) -> Mapping[str, Any]:
        """All that computes an answer: the version, the preset, each model by its hash, and a style of one's own."""
        models = {**_identity(self._encoder_folder), **self._identities(with_words=words)}
        return self._model(models, words=words, style=style)

    def _self_similarity(self, candidates: Sequence[Candidate], votes: Sequence[Vote]) -> float | None:
        """The cosine of the prompt with the fused vector; with the picture, where a lone member measured that."""
        if not candidates:
            return None
        lone = votes[0].text_similarity if self.preset.wording is None and len(votes) == 1 else None
        return candidates[0].similarity if lone is None else lone

    def _plain(self, fused: Vector, text: str) -> tuple[Candidate, ...]:
        """The description of a picture of nothing as the only candidate."""
        (vector,) = self.encoder.encode([text])
        return (Candidate(text, float(vector @ fused), "pixels"),)

    def _confidence(self, fused: Vector, votes: Sequence[Vote], *, blank: bool) -> Confidence | None:
        if self._calibration is None or not self._is_calibrated or not _has_vector(votes):
            return None
        return self._calibration.confidence(fused, votes, blank=blank)

    @functools.cached_property
    def _is_calibrated(self) -> bool:
        """Whether the preset's calibration holds for the members that vote, with their models of now."""
        if self._calibration is None or self.missing:
            return False
        models = self.identity(words=False)["models"]
        if fitted_to(self.preset, models, self._calibration.folder) == self._calibration.spec.fitted_to:
            return True
        _log.warning(
            "answers have no confidence: [confidence] of the preset %s was fitted to other members or models; run "
            "unprompt presets calibrate",
            self.preset.name,
        )
        return False

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

    def _candidates(self, fused: Vector, votes: Sequence[Vote], style: Style | None) -> tuple[Candidate, ...]:
        offers = [(text, vote.member) for vote in votes for text in vote.texts]
        # A rating says what may be shown to whom, and nothing that stands in the picture.
        seen = [concept for concept in fuse_concepts(votes, limit=None) if concept.category != "rating"]
        return self._wording(style).choose(fused, offers, seen)

    @functools.cached_property
    def _codebook(self) -> Codebook | None:
        return None if self._codebook_folder is None else Codebook.read(self._codebook_folder)

    def _wording(self, style: Style | None) -> Wording:
        """What words answers in a style; all styles share one decoder."""
        wanted = style or self.style
        if wanted not in self._wordings:
            spec = self.preset.wording
            readable = {} if spec is None else {"readable": spec.readable}
            self._wordings[wanted] = Wording(self._quick_encoder, self._decoder, style=wanted, **readable)
        return self._wordings[wanted]

    @functools.cached_property
    def _decoder(self) -> Decoder | None:
        return None if self._decoder_folder is None else Decoder(self._decoder_folder)

    @functools.cached_property
    def _encoder_folder(self) -> ModelFolder:
        return find_model(SENTENCE_ENCODER)

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
            identities |= _identity(self._decoder_folder) | _identity(self._encoder_folder, aids=True)
        return identities

    def _model(
        self, identities: Mapping[str, str], *, words: bool = False, style: Style | None = None
    ) -> Mapping[str, Any]:
        """What computed an answer; the hashes change with every byte of the preset and the models.

        A style is named if it is another than the preset's, and a decoder writes `words` in it.
        """
        missing = {"missing": dict(self.missing)} if self.missing else {}
        wanted = style or self.style
        is_own = not words or self.preset.wording is None or wanted == self.preset.wording.style
        return {
            "unprompt": __version__,
            "preset": self.preset.name,
            "preset_hash": self.preset.identity,
            "models": dict(identities),
            **({} if is_own else {"style": wanted}),
            **missing,
        }


def _identity(folder: ModelFolder, *, aids: bool = False) -> dict[str, str]:
    return {folder.name: folder.identity(aids=aids)}


def _shortened(vote: Vote) -> Vote:
    """The vote with as many of its concepts as an answer keeps."""
    return vote if len(vote.concepts) <= CONCEPTS_LIMIT else replace(vote, concepts=vote.concepts[:CONCEPTS_LIMIT])


def _has_vector(votes: Sequence[Vote]) -> bool:
    return any(vote.vector is not None for vote in votes)

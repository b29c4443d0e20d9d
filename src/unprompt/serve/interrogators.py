"""The interrogator behind CLIP Interrogator's dialect; it is loaded when somebody first asks for it."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from unprompt.errors import UnpromptError
from unprompt.images.decode import decode
from unprompt.images.ref import ImageRef
from unprompt.prediction import Failure
from unprompt.progress import SILENT
from unprompt.serve.errors import Refusal
from unprompt.serve.settings import Settings

if TYPE_CHECKING:
    from unprompt.interrogation.interrogator import Interrogator

ANALYZE = "analyze"
MODES = ("best", "fast", "classic", "negative", "caption")
"""The modes of the extension, by its own names."""

TERMS = 5
"""Terms of each list in an analysis, as in the extension."""

_log = logging.getLogger(__name__)


class Interrogators:
    """One interrogator, of the model that --clip names."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._interrogator: Interrogator | None = None
        self._fault: UnpromptError | None = None
        self._is_loading = False

    @property
    def name(self) -> str:
        """The model's name as the extension writes it: ViT-L-14/openai."""
        return self._settings.clip.replace(".", "/", 1)

    def check_ready(self) -> None:
        """Raise Refusal (503) while it loads, which the first call begins; what keeps it from loading is raised."""
        with self._lock:
            if self._interrogator is not None:
                return
            if self._fault is not None:
                raise self._fault
            if not self._is_loading:
                self._is_loading = True
                threading.Thread(target=self._load, name="unprompt-interrogator", daemon=True).start()
        raise Refusal(
            503,
            "expected the interrogator, found it loading its lists of terms, which the first request begins; ask again",
            retry_after_s=10,
        )

    def answer(self, ref: ImageRef, mode: str) -> Any:
        """The text for a picture, the tables of its nearest terms for the mode `ANALYZE`, or a Failure."""
        from unprompt.interrogation.interrogation import Settings as Written

        interrogator = self._interrogator
        if interrogator is None:
            raise Refusal(503, "expected the interrogator, found it not loaded; ask again", retry_after_s=10)
        picture = decode(
            ref, shorter_side=interrogator.shorter_side, read_metadata=False, **self._settings.picture_limits
        )
        if isinstance(picture, Failure):
            return picture
        if mode == ANALYZE:
            return interrogator.ranked(picture, TERMS)
        (answer,) = interrogator.interrogate_pictures([picture], replace(Written(), mode=mode))  # type: ignore[arg-type]
        return answer.text

    def _load(self) -> None:
        from unprompt.interrogation.interrogator import Interrogator

        try:
            interrogator = Interrogator.from_pretrained(self._settings.clip, threads=self._settings.threads)
            interrogator.prepare(SILENT)
        except Exception as error:
            known = isinstance(error, UnpromptError)
            self._fault = error if isinstance(error, UnpromptError) else UnpromptError(type(error).__name__)
            _log.warning("the interrogator cannot be loaded: %s", error if known else type(error).__name__)
            return
        self._interrogator = interrogator

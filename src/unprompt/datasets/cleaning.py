"""The rules by which the competition's best teams cleaned prompts, with a count of what each rule did.

Source: the write-ups of "Stable Diffusion - Image to Prompts" (Kaggle, 2023): at least five words, Latin letters and
common punctuation, and no two prompts that begin or end with the same 15 characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from unprompt.datasets.outputs import OutputPlace
from unprompt.datasets.prompts import PromptSource
from unprompt.errors import DataError
from unprompt.images.metadata.cleaning import clean, differs, tidy
from unprompt.progress import Step
from unprompt.text.fingerprints import Fingerprints

CHANGES = ("spaces", "marks")
DROPS = ("empty", "short", "characters", "copies", "starts", "ends")
"""The rules in the order in which they are applied; the first that drops a prompt is the one that counts it."""

# ASCII, accented Latin letters, and the quotes, dashes and signs that editors insert on their own.
_COMMON = re.compile(
    "[ -~\u00a1-\u00bf\u00c0-\u024f\u1e00-\u1eff\u2010-\u2015\u2018-\u201f\u2022\u2026\u2032\u2033\u20ac\u2122]*"
)


@dataclass(frozen=True)
class CleaningRules:
    """Which rules apply.

    `spaces`: collapse white space to single spaces and remove control characters. `marks`: remove weights such as
    (word:1.2), LoRA tags and the like. `least_words`: drop shorter prompts; 0 keeps all. `latin`: drop prompts with
    anything but Latin letters, digits and common punctuation. `copies`: drop exact repeats of a prompt that was kept.
    `starts` and `ends`: drop a prompt that shares so many characters at that end with one that was kept; 0 keeps all.
    """

    spaces: bool = True
    marks: bool = True
    least_words: int = 5
    latin: bool = True
    copies: bool = True
    starts: int = 15
    ends: int = 15


class Cleaner:
    """Cleans one prompt after the other, remembering 24 bytes for each prompt it keeps.

    `counts` holds the number of prompts that each rule changed or dropped, and of those kept. A prompt is counted by
    every rule that changed it and by the one that dropped it.
    """

    def __init__(self, rules: CleaningRules) -> None:
        self.rules = rules
        self.counts: Counter[str] = Counter(dict.fromkeys(("kept", *CHANGES, *DROPS), 0))
        self._whole, self._starts, self._ends = Fingerprints(), Fingerprints(), Fingerprints()

    def clean(self, raw: str) -> str | None:
        """The cleaned prompt, or None if a rule drops it."""
        prompt = self._changed(raw)
        reason = self._reason(prompt)
        self.counts[reason or "kept"] += 1
        return None if reason else prompt

    def _changed(self, raw: str) -> str:
        prompt = raw
        if self.rules.spaces and (prompt := tidy(raw)) != raw:
            self.counts["spaces"] += 1
        if self.rules.marks:
            cleaned = clean(prompt)
            self.counts["marks"] += differs(prompt, cleaned)
            prompt = cleaned
        return prompt

    def _reason(self, prompt: str) -> str | None:
        """The rule that drops the prompt; None if it is kept, and then it is remembered."""
        rules = self.rules
        if not prompt.strip():
            return "empty"
        if len(prompt.split()) < rules.least_words:
            return "short"
        if rules.latin and not _COMMON.fullmatch(unicodedata.normalize("NFC", prompt)):
            return "characters"
        if prompt in self._whole:
            # An exact repeat, such as another picture of the prompt; the rules on its ends would always drop it.
            return "copies" if rules.copies else None
        start, end = prompt[: rules.starts], prompt[-rules.ends :]
        if rules.starts and start in self._starts:
            return "starts"
        if rules.ends and end in self._ends:
            return "ends"
        self._whole.add(prompt)
        if rules.starts:
            self._starts.add(start)
        if rules.ends:
            self._ends.add(end)
        return None


def clean_prompts(source: PromptSource, place: OutputPlace, rules: CleaningRules, step: Step) -> Counter[str]:
    """Write the prompts of a source that the rules keep; return the counts of `Cleaner`, and of all prompts `read`.

    Raises DataError, and writes nothing, if the source has faults or no prompt is kept.
    """
    cleaner = Cleaner(rules)
    with place.open() as output, step("cleaning", None) as advance:
        for entry in source.entries():
            cleaner.counts["read"] += 1
            if (prompt := cleaner.clean(entry.prompt)) is not None:
                output.write(entry, prompt)
            advance(1)
        if not cleaner.counts["kept"]:
            raise DataError(f"expected prompts that the rules keep, found none among {cleaner.counts['read']:,}")
    return cleaner.counts

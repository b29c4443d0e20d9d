"""Which words of an answer count as right."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from unprompt.evaluation.words import content_stems, score_words
from unprompt.text.content_words import stem


def test_function_words_and_short_words_do_not_count() -> None:
    assert content_stems("The owl is on an old oak, with its 3 owlets; by me") == content_stems("owl old oak owlets")


def test_words_of_one_stem_are_one() -> None:
    assert content_stems("paint painting painted PAINTS") == content_stems("paint")


def test_precision_and_recall_are_taken_against_all_captions_together() -> None:
    score = score_words("a brown dog jumping", ["a dog leaps", "a brown animal jumps over a fence"])
    assert score is not None
    assert score.precision == 1.0  # brown, dog, jump
    assert score.recall == pytest.approx(3 / 6)  # and leap, animal, fence
    assert score.f1 == pytest.approx(2 / 3)


def test_without_a_true_word_there_is_no_score() -> None:
    assert score_words("a dog", ["", "3 of 4"]) is None


@pytest.mark.parametrize("answer", ["", "of the"])
def test_an_answer_without_words_has_none_right(answer: str) -> None:
    score = score_words(answer, ["a dog"])
    assert score is not None
    assert (score.precision, score.recall, score.f1, score.subject) == (0.0, 0.0, 0.0, False)


@pytest.mark.parametrize(
    ("answer", "subject"),
    [
        ("an owl, oil on canvas", "owl"),
        ("a snowy white owl in a barn", "owl"),
        ("an oil painting of an owl with a mouse", "owl"),
        ("a close-up photo of the owl", "owl"),
        ("owl sitting beside a cat", "owl"),
        ("two owls that watch a cat", "owls"),
        ("painting, an owl", "painting"),
    ],
)
def test_the_subject_is_the_noun_of_the_first_phrase(answer: str, subject: str) -> None:
    found = {word: score_words(answer, [word]) for word in ("owl", "painting", "cat", "barn", "owls")}
    right = {word for word, score in found.items() if score is not None and score.subject}
    assert content_stems(" ".join(right)) == content_stems(subject)


def test_stems_do_not_depend_on_other_threads() -> None:
    words = [
        f"{start}{end}" for start in ("paint", "run", "nation", "beauti") for end in ("ing", "s", "al", "fully", "ed")
    ]
    texts = [" ".join([*words[place:], *words[:place], f"number{place}ing"]) for place in range(len(words))] * 20
    expected = [content_stems(text) for text in texts]
    stem.cache_clear()
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(content_stems, texts)) == expected

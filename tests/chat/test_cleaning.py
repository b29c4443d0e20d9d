"""What is taken off an answer, and what stays."""

import pytest

from unprompt.chat.cleaning import LONGEST, clean, is_blind, is_refusal

FOX = "a red fox in the snow, oil painting"


@pytest.mark.parametrize(
    "answer",
    [
        FOX,
        f"  {FOX}\n",
        f'"{FOX}"',
        f"“{FOX}”",
        f"`{FOX}`",
        f"**{FOX}**",
        f"*{FOX}*",
        f"### Prompt:\n{FOX}",
        f"Prompt: {FOX}",
        f"**Prompt:** {FOX}",
        f"**Prompt**: {FOX}",
        f"Image Prompt: {FOX}",
        f"The prompt for this image is: {FOX}",
        f"Here is the prompt:\n\n{FOX}",
        f"Here's a Stable Diffusion prompt that could make this picture:\n\n> {FOX}",
        f"Sure! Here is a prompt: {FOX}",
        f"Sure, here's one:\n```\n{FOX}\n```",
        f"Certainly! Here’s the prompt you asked for:\n\n**{FOX}**\n\nLet me know if you want another one!",
        f"I'd be happy to help. Here is the caption: {FOX}",
        f"```text\n{FOX}\n```",
        f'```json\n{{"prompt": "{FOX}"}}\n```',
        f'{{"caption": "{FOX}"}}',
        '{"tags": ["a red fox in the snow", "oil painting"]}',
        "- a red fox in the snow\n- oil painting",
        "1. a red fox in the snow\n2. oil painting\n",
        "* a red fox in the snow;\n* oil painting",
        f"<think>A fox. Snow.\n\nOil?</think>\n\n{FOX}",
        f"A fox, I think.</think>{FOX}",
        f"[THINK]hm[/THINK]{FOX}",
        f"<|channel|>analysis<|message|>Fox!<|end|><|start|>assistant<|channel|>final<|message|>{FOX}",
        f"{FOX}<|im_end|>",
        f"{FOX}</s>",
        f"{FOX}\n\n**Negative prompt:** blurry, low quality",
        f"{FOX}\n\nNote: this prompt is a guess.",
        f"/imagine prompt: {FOX}",
        f"The image shows {FOX}",
        f"This picture depicts {FOX}",
        "a red fox in the snow,\n  oil painting",
    ],
)
def test_what_models_say_around_it_goes(answer: str) -> None:
    assert clean(answer) == FOX


@pytest.mark.parametrize(
    "answer",
    [
        "a (red:1.2) fox, [snow], masterpiece, <lora:fox:0.8>",
        "1girl, long_hair, looking_at_viewer, :d, ^_^",
        "a vast plain --ar 16:9 --v 6 --style raw",
        '"Hello" and "Bye" on two signs',
        "don't look up, a poster",
        "Sure-footed goat on a cliff",
        "prompt engineer at a desk",
        "Here be dragons, an old map",
        "tags on a wall, graffiti",
        "A sign that says: closed",
        "Okay hand sign, close-up",
        "5 * 3 = 15 on a blackboard",
        "日本の古い町, 浮世絵",
    ],
)
def test_what_belongs_to_it_stays(answer: str) -> None:
    assert clean(answer) == answer


@pytest.mark.parametrize("answer", ["", "  \n", "<think>and no end", '""', "```\n```", "<|im_end|>"])
def test_nothing_is_left_of_nothing(answer: str) -> None:
    assert clean(answer) in ("", '""')


def test_the_question_is_taken_off_where_a_server_repeats_it() -> None:
    asked = "Describe this picture.\nAnswer with the text alone."
    assert clean(f"user\n{asked}\nassistant\n{FOX}", asked=asked) == FOX
    assert clean(f"{asked}{FOX}", asked=asked) == FOX


def test_what_was_cut_off_ends_with_its_last_whole_piece() -> None:
    assert clean("a red fox in the snow, oil painting, by a fam", is_cut=True) == FOX
    assert clean("a red fox in the snow. It look", is_cut=True) == "a red fox in the snow"
    assert clean("one, long text without a second comma", is_cut=True) == "one, long text without a second comma"


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, I cannot describe this image.",
        "Sorry, but I can't assist with that request.",
        "I cannot provide a description of real people.",
        "I'm not able to identify the person.",
        "As an AI, I cannot...",
        "<think>Is this allowed? No.</think>I can't help with this one.",
        "**I apologize**, but no.",
    ],
)
def test_refusals(answer: str) -> None:
    assert is_refusal(answer)
    assert not is_blind(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "I don't see any image attached.",
        "I'm sorry, but I cannot see images.",
        "I can't view the attached picture, could you upload it again?",
        "No image was provided.",
        "It looks like you forgot to attach the picture.",
        "Please provide the image you would like me to describe.",
        "As a text-based AI, I can only read.",
    ],
)
def test_models_that_see_no_picture(answer: str) -> None:
    assert is_blind(answer)


@pytest.mark.parametrize(
    "answer", [FOX, "a man who says sorry, but smiles", "no image noise, a clean photo", "I, Robot"]
)
def test_answers_are_no_refusals(answer: str) -> None:
    assert not is_refusal(answer)
    assert not is_blind(answer)


@pytest.mark.parametrize(
    "piece", ["<think>", "*", "[", "assistant ", "\n", "**", "`", '"', "- ", "{", "the image ", "# "]
)
def test_long_answers_stay_within_bounds(piece: str) -> None:
    assert len(clean(piece * (20_000 // len(piece)))) <= LONGEST

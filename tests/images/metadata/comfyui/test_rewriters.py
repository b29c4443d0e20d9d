import pytest
from graphs import answer, node, painting

INSTRUCTION = "You are an expert writer of prompts. Follow these rules:\n1. Keep all subjects.\n"
NOTE = "These words were given to a language model, whose answer is not in the file."
WORDS = "an otter in a canoe"


def rewritten(model, **nodes):
    return answer(painting(n20=model, **nodes))


MODELS = {
    "core": node("TextGenerate", prompt=WORDS, max_length=256, sampling_mode="on", clip=["4", 1]),
    "core, LTX": node("TextGenerateLTX2Prompt", prompt=WORDS, max_length=256, clip=["4", 1]),
    "Ollama": node("OllamaGenerateV2", system=INSTRUCTION, prompt=WORDS, keep_context=False, format="text"),
    "OpenAI": node("OpenAIChatNode", prompt=WORDS, persist_context=False, model="gpt-5"),
    "Gemini": node("GeminiNode", prompt=WORDS, model="gemini-2.5-pro", seed=1, system_prompt=INSTRUCTION),
    "Qwen": node("Qwen3_VQA", system_text=INSTRUCTION, text=WORDS, model="Qwen3-VL-4B"),
    "KJNodes": node("Superprompt", instruction_prompt="Expand the following prompt", prompt=WORDS, max_new_tokens=128),
    "enhancer": node("LTXVPromptEnhancer", prompt=WORDS, max_resulting_tokens=256, image_prompt=["99", 0]),
    "unknown": node("My LLM Prompt Rewriter", user_prompt=WORDS, system_prompt=INSTRUCTION, temperature=0.7),
    "instruction in front": node("TextGenerate", prompt=INSTRUCTION + "User's input:\n\n" + WORDS),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_users_own_words_stand_for_an_answer_that_is_not_in_the_file(model):
    found = rewritten(model)
    assert (found.prompt, found.certainty, found.note) == (WORDS, "ambiguous", NOTE)


def test_what_instructs_is_a_text_of_its_own():
    found = rewritten(MODELS["Ollama"])
    told = [text for text in found.texts if text.role == "instruction"]
    assert [(text.text, text.node) for text in told] == [(" ".join(INSTRUCTION.split()), "20 OllamaGenerateV2")]


@pytest.mark.parametrize(
    "prompt",
    [
        node("StringConcatenate", string_a=["31", 0], string_b=["32", 0], delimiter="\n"),
        node("StringReplace", string=["33", 0], find="{prompt}", replace=["32", 0]),
        node("JoinStrings", string1=["31", 0], string2=["32", 0], delimiter=" "),
    ],
)
def test_an_instruction_that_is_joined_with_the_words(prompt):
    found = rewritten(
        node("TextGenerate", prompt=["30", 0], clip=["4", 1]),
        n30=prompt,
        n31=node("PrimitiveStringMultiline", value=INSTRUCTION),
        n32=node("PrimitiveStringMultiline", value=WORDS),
        n33=node("PrimitiveStringMultiline", value=INSTRUCTION + "Input: {prompt}"),
    )
    assert found.prompt == WORDS


@pytest.mark.parametrize(
    "nodes",
    [
        {"n20": node("ShowText|pysssss", text=["30", 0], text_0="an otter, paddling")},
        {"n20": node("PreviewAny", source=["30", 0], preview_text="an otter, paddling")},
        {"n20": node("easy showAnything", anything=["30", 0], text="an otter, paddling")},
        {
            "n20": node("StringConcatenate", string_a=["30", 0], string_b="", delimiter=""),
            "n31": node("ShowText|pysssss", text=["30", 0], text_0="an otter, paddling"),
        },
    ],
    ids=["on the way", "core", "Easy-Use", "beside"],
)
def test_an_answer_that_a_node_shows_is_the_prompt(nodes):
    found = answer(painting(n30=MODELS["Ollama"], **nodes))
    assert (found.prompt, found.certainty, found.note) == ("an otter, paddling", "computed", "")


def test_what_the_workflow_shows_is_newer_than_what_the_graph_shows():
    nodes = painting(n30=MODELS["Ollama"], n20=node("ShowText|pysssss", text=["30", 0], text_0="the run before"))
    shown = {"id": 20, "type": "ShowText|pysssss", "widgets_values": [["an otter, paddling"]]}
    assert answer(nodes, workflow={"nodes": [shown]}).prompt == "an otter, paddling"


def test_a_text_that_is_certain_is_not_replaced_by_an_older_one_that_is_shown():
    shown = node("ShowText|pysssss", text=["30", 0], text_0="the run before")
    assert answer(painting(n20=shown, n30=node("PrimitiveString", value="a fox"))).prompt == "a fox"


def test_a_captioner_that_got_no_words_says_nothing():
    found = answer(painting(n20=node("Florence2Run", image=["8", 0], text_input="", task="caption")))
    assert found is None


@pytest.mark.parametrize(
    ("template", "frame"),
    [
        ("You are an assistant that draws. <Prompt Start> {}", "You are an assistant that draws. <Prompt Start>"),
        ("<|im_start|>system\nDescribe it.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n", None),
        (
            "<start_of_turn>system\nExpand.<end_of_turn>\n<start_of_turn>user\n{}<end_of_turn>\n<start_of_turn>model\n",
            None,
        ),
        ("<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>", None),
    ],
)
def test_the_frame_of_a_model_family_is_cut_off_and_kept_in_raw(template, frame):
    whole = template.format("a tabby asleep")
    found = answer(painting(n20=node("PrimitiveString", value=whole)))
    assert (found.prompt, found.raw) == ("a tabby asleep", whole.strip())
    if frame:
        assert [text.text for text in found.texts if text.role == "instruction"] == [frame]


def test_words_that_only_look_like_an_instruction_stay_where_no_model_reads_them():
    assert answer(painting(n20=node("PrimitiveString", value="you are a fox"))).prompt == "you are a fox"

import pytest
from graphs import answer, node, painting

HARE = {"n41": node("CLIPTextEncode", text="a hare"), "n42": node("CLIPTextEncode", text="mud")}
PIPE = node("ToBasicPipe", model=["4", 0], positive=["41", 0], negative=["42", 0])

# Loaders and pipes: the sampler, and what it gets its two sides from.
BUNDLES = {
    "Efficient Loader": {
        "n3": node(
            "KSampler (Efficient)", seed=1, steps=9, positive=["40", 1], negative=["40", 2], latent_image=["40", 3]
        ),
        "n40": node("Efficient Loader", ckpt_name="m", positive="a hare", negative="mud", lora_name="None"),
    },
    "Efficient Loader, linked": {
        "n3": node("KSampler Adv. (Efficient)", noise_seed=1, positive=["40", 1], negative=["40", 2]),
        "n40": node("Efficient Loader", ckpt_name="m", positive=["50", 0], negative="mud"),
        "n50": node("PrimitiveString", value="a hare"),
    },
    "Efficient SDXL": {
        "n3": node("KSampler SDXL (Eff.)", sdxl_tuple=["40", 0], latent_image=["40", 1], noise_seed=1, steps=9),
        "n40": node("Eff. Loader SDXL", base_ckpt_name="m", positive="a hare", negative="mud", positive_ascore=6.0),
    },
    "Efficient SDXL, packed": {
        "n3": node("KSampler SDXL (Eff.)", sdxl_tuple=["40", 0], noise_seed=1, steps=9),
        "n40": node("Pack SDXL Tuple", base_positive=["41", 0], base_negative=["42", 0], refiner_positive=["7", 0]),
    },
    "Impact": {
        "n3": node(
            "ImpactKSamplerBasicPipe", basic_pipe=["40", 0], seed=1, steps=9, denoise=1.0, latent_image=["5", 0]
        ),
        "n40": PIPE,
    },
    "Impact, edited": {
        "n3": node("ImpactKSamplerBasicPipe", basic_pipe=["43", 0], seed=1, steps=9, denoise=1.0),
        "n43": node("EditBasicPipe", basic_pipe=["40", 0], negative=["42", 0]),
        "n40": node("ToBasicPipe", positive=["41", 0], negative=["7", 0]),
    },
    "Impact, taken apart": {
        "n3": node("KSampler", seed=1, steps=9, positive=["43", 3], negative=["43", 4], latent_image=["5", 0]),
        "n43": node("FromBasicPipe", basic_pipe=["40", 0]),
        "n40": PIPE,
    },
    "Impact, taken apart again": {
        "n3": node("KSampler", seed=1, steps=9, positive=["43", 4], negative=["43", 5], latent_image=["5", 0]),
        "n43": node("FromBasicPipe_v2", basic_pipe=["40", 0]),
        "n40": PIPE,
    },
    "Easy-Use": {
        "n3": node("easy kSampler", pipe=["43", 0], image_output="Save", link_id=0, save_prefix="x"),
        "n43": node("easy preSampling", pipe=["40", 0], steps=9, seed=1, cfg=7.0, denoise=1.0),
        "n40": node("easy a1111Loader", ckpt_name="m", positive="a hare", negative="mud", batch_size=1),
    },
    "Easy-Use, edited": {
        "n3": node("easy fullkSampler", pipe=["43", 0], steps=9, seed=1, image_output="Hide/Save"),
        "n43": node("easy pipeEditPrompt", pipe=["40", 0], positive="a hare", negative="mud"),
        "n40": node("easy fullLoader", ckpt_name="m", positive="an owl", negative="fog"),
    },
    "Easy-Use, taken apart": {
        "n3": node("KSampler", seed=1, steps=9, positive=["43", 2], negative=["43", 3], latent_image=["43", 4]),
        "n43": node("easy pipeOut", pipe=["40", 0]),
        "n40": node("easy fullLoader", ckpt_name="m", positive="a hare", negative="mud"),
    },
    "Easy-Use, loader": {
        "n3": node("KSampler", seed=1, steps=9, positive=["40", 4], negative=["40", 5], latent_image=["40", 6]),
        "n40": node("easy fullLoader", ckpt_name="m", positive="a hare", negative="mud"),
    },
    "rgthree": {
        "n3": node("KSampler", seed=["40", 8], steps=9, positive=["40", 4], negative=["40", 5], latent_image=["40", 6]),
        "n40": node("Context (rgthree)", base_ctx=["43", 0], negative=["42", 0]),
        "n43": node("Context Big (rgthree)", positive=["41", 0], negative=["7", 0], seed=1),
    },
    "rgthree, switch": {
        "n3": node("KSampler", seed=1, steps=9, positive=["40", 4], negative=["40", 5], latent_image=["5", 0]),
        "n40": node("Context Switch (rgthree)", ctx_02=["44", 0], ctx_01=["43", 0]),
        "n43": node("Context (rgthree)", positive=["41", 0], negative=["42", 0]),
        "n44": node("Context (rgthree)", positive=["7", 0], negative=["7", 0]),
    },
    "tinyterra": {
        "n3": node("ttN pipeKSampler_v2", pipe=["40", 0], seed=1, steps=9, image_output="Save"),
        "n40": node("ttN pipeLoader_v2", ckpt_name="m", positive="a hare", negative="mud"),
    },
    "Inspire": {
        "n3": node("KSamplerPipe //Inspire", basic_pipe=["40", 0], seed=1, steps=9, latent_image=["5", 0]),
        "n40": node(
            "MakeBasicPipe //Inspire",
            positive_wildcard_text="{a}",
            negative_wildcard_text="{b}",
            positive_populated_text="a hare",
            negative_populated_text="mud",
        ),
    },
}


@pytest.mark.parametrize("nodes", BUNDLES.values(), ids=BUNDLES)
def test_both_sides_out_of_a_bundle(nodes):
    found = answer(painting(**HARE, **nodes))
    assert (found.prompt, found.negative_prompt, found.certainty) == ("a hare", "mud", "computed")


def test_bundles_in_a_circle_end():
    nodes = {
        "n3": node("ImpactKSamplerBasicPipe", basic_pipe=["40", 0], seed=1),
        "n40": node("EditBasicPipe", basic_pipe=["43", 0]),
        "n43": node("EditBasicPipe", basic_pipe=["40", 0]),
    }
    assert answer(painting(**nodes)) is None

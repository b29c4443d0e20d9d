import pytest
from graphs import answer, node, painting

SECOND = {"n11": node("CLIPTextEncode", text="glass shards"), "n12": node("VAEDecode", samples=["10", 0])}


def sampler(latent, **changes):
    """A second sampler with words of its own, that starts from this latent."""
    inputs = painting()["3"]["inputs"] | {"positive": ["11", 0], "latent_image": latent, "seed": 8}
    return node("KSampler", **(inputs | changes))


def refined(kind="KSampler", saved="12", **changes):
    second = sampler(["3", 0], **changes)
    nodes = painting(n10={"class_type": kind, "inputs": second["inputs"]}, **SECOND)
    nodes["9"]["inputs"]["images"] = [saved, 0]
    return answer(nodes)


SAVES = {
    "SaveImage": node("SaveImage", images=["12", 0], filename_prefix="x"),
    "animated": node("SaveAnimatedWEBP", images=["12", 0], fps=6.0),
    "video": node("VHS_VideoCombine", images=["12", 0], frame_rate=8, format="video/h264-mp4"),
    "video of 2025": node("SaveVideo", video=["13", 0], filename_prefix="x", format="mp4"),
    "WAS": node("Image Save", images=["12", 0], output_path="x"),
    "Comfyroll": node("CR Image Output", images=["12", 0], output_type="Save"),
    "Image Saver": node("Image Saver", images=["12", 0], filename="x", positive="unknown"),
    "web socket": node("SaveImageWebsocket", images=["12", 0]),
    "unknown": node("My Fancy Image Saver", pictures=["12", 0], folder="x"),
}


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
def test_what_was_saved_decides_which_sampler_speaks(save):
    """A sampler in front of it, which is only shown, has other words."""
    nodes = painting(n9=node("PreviewImage", images=["8", 0]), n10=sampler(["5", 0]), n30=save, **SECOND)
    nodes["13"] = node("CreateVideo", images=["12", 0], fps=24.0)
    found = answer(nodes)
    assert (found.prompt, found.settings["seed"], found.certainty) == ("glass shards", 8, "computed")


@pytest.mark.parametrize(
    "preview",
    [
        node("PreviewImage", images=["12", 0]),
        node("Image Comparer (rgthree)", image_a=["12", 0]),
        node("PreviewVideo", images=["12", 0]),
    ],
)
def test_what_is_shown_counts_where_nothing_is_saved(preview):
    nodes = painting(n9=preview, n10=sampler(["5", 0]), **SECOND)
    assert answer({key: value for key, value in nodes.items() if key != "8"}).prompt == "glass shards"


@pytest.mark.parametrize(
    "changes",
    [
        {"denoise": 0.5},
        {"denoise": ["99", 0]},
        {"denoise": ["14", 0]},
        {"kind": "KSamplerAdvanced", "add_noise": "disable", "start_at_step": 15, "end_at_step": 10_000},
        {"kind": "KSamplerAdvanced", "start_at_step": 16},
        {"kind": "UltimateSDUpscale", "denoise": 1.0},
        {"kind": "FaceDetailer", "denoise": 0.9},
    ],
)
def test_a_pass_that_refines_leaves_the_word_to_the_first(changes):
    found = refined(**changes)
    assert (found.prompt, found.settings["seed"]) == ("a fox", 7)
    assert ("glass shards", "refiner", "11 CLIPTextEncode") in [
        (text.text, text.role, text.node) for text in found.texts
    ]


@pytest.mark.parametrize(
    "changes", [{"denoise": 1.0}, {"denoise": 0.85}, {"kind": "KSamplerAdvanced", "start_at_step": 0}]
)
def test_a_pass_that_draws_anew_has_the_word(changes):
    found = refined(**changes)
    assert (found.prompt, found.settings["seed"]) == ("glass shards", 8)
    assert "a fox" in [text.text for text in found.texts]


def test_a_refiner_without_words_leaves_the_word_to_the_first():
    assert refined(denoise=1.0, positive=["15", 0]).prompt == "a fox"


def test_a_sampler_that_was_saved_without_its_second_pass():
    assert refined(saved="8", denoise=1.0).prompt == "a fox"


def test_a_second_pass_through_pixels():
    nodes = painting(
        n10=sampler(["16", 0], denoise=0.4),
        n16=node("VAEEncode", pixels=["17", 0]),
        n17=node("ImageUpscaleWithModel", image=["8", 0], upscale_model=["18", 0]),
        n18=node("UpscaleModelLoader", model_name="4x.pth"),
        **SECOND,
    )
    nodes["9"]["inputs"]["images"] = ["12", 0]
    assert answer(nodes).prompt == "a fox"


@pytest.mark.parametrize(
    ("sigmas", "expected"),
    [
        ({"n23": node("SplitSigmas", sigmas=["24", 0], step=10), "output": 1}, "a fox"),
        ({"n23": node("BasicScheduler", scheduler="simple", steps=20, denoise=0.3), "output": 0}, "a fox"),
        ({"n23": node("BasicScheduler", scheduler="simple", steps=20, denoise=1.0), "output": 0}, "glass shards"),
    ],
)
def test_the_strength_of_a_custom_sampler_is_its_schedulers(sigmas, expected):
    output = sigmas.pop("output")
    second = node(
        "SamplerCustomAdvanced", guider=["22", 0], sigmas=["23", output], noise=["25", 0], latent_image=["3", 0]
    )
    guider = node("BasicGuider", conditioning=["11", 0], model=["4", 0])
    nodes = painting(n10=second, n22=guider, n25=node("RandomNoise", noise_seed=1), **sigmas, **SECOND)
    nodes["9"]["inputs"]["images"] = ["12", 0]
    assert answer(nodes).prompt == expected


def test_pictures_put_together_are_regions_of_the_first():
    nodes = painting(
        n10=sampler(["5", 0]), n8=node("VAEDecode", samples=["26", 0]), **SECOND,
        n26=node("LatentComposite", samples_to=["3", 0], samples_from=["10", 0], x=8, y=8, feather=0),
    )  # fmt: skip
    found = answer(nodes)
    assert (found.prompt, [(text.text, text.role) for text in found.texts][:3]) == (
        "a fox",
        [("a fox", "positive"), ("blurry", "negative"), ("glass shards", "region")],
    )


def test_a_pass_over_pictures_put_together_speaks_for_the_whole():
    nodes = painting(
        n10=sampler(["5", 0]), n8=node("VAEDecode", samples=["27", 0]), **SECOND,
        n26=node("LatentComposite", samples_to=["3", 0], samples_from=["10", 0], x=8, y=8, feather=0),
        n27=sampler(["26", 0], denoise=0.5, positive=["28", 0]),
        n28=node("CLIPTextEncode", text="a fox among glass shards"),
    )  # fmt: skip
    assert answer(nodes).prompt == "a fox among glass shards"


def test_two_pictures_that_were_saved_are_two_candidates():
    nodes = painting(n10=sampler(["5", 0]), n30=SAVES["SaveImage"], **SECOND)
    found = answer(nodes)
    assert (found.certainty, found.candidates) == ("ambiguous", ("a fox", "glass shards"))


def test_a_picture_that_guides_another_is_not_its_first_pass():
    nodes = painting(
        n10=sampler(["5", 0], positive=["29", 0]), **SECOND,
        n29=node("ControlNetApply", conditioning=["11", 0], image=["8", 0], control_net=["99", 0], strength=1.0),
    )  # fmt: skip
    nodes["9"]["inputs"]["images"] = ["12", 0]
    found = answer(nodes)
    assert (found.prompt, found.candidates) == ("glass shards", ())


VIDEO = {
    "WanVideoWrapper": {
        "n3": node("WanVideoSampler", steps=30, cfg=6.0, seed=7, text_embeds=["40", 0], image_embeds=["41", 0]),
        "n40": node("WanVideoTextEncode", positive_prompt="a fox", negative_prompt="blurry", t5=["99", 0]),
        "n41": node("WanVideoEmptyEmbeds", width=832, height=480, num_frames=81),
    },
    "WanVideoWrapper, guided": {
        "n3": node("WanVideoSampler", steps=30, seed=7, text_embeds=["42", 0], image_embeds=["99", 0]),
        "n40": node("WanVideoTextEncode", positive_prompt="a fox", negative_prompt="blurry"),
        "n42": node("WanVideoApplyNAG", original_text_embeds=["40", 0], nag_text_embeds=["43", 0], nag_scale=11),
        "n43": node("WanVideoTextEncode", positive_prompt="an owl", negative_prompt=""),
    },
    "core": {
        "n3": node("KSampler", seed=7, steps=20, positive=["40", 0], negative=["40", 1], latent_image=["40", 2]),
        "n40": node("WanImageToVideo", positive=["6", 0], negative=["7", 0], vae=["4", 2], start_image=["99", 0]),
    },
    "LTX": {
        "n3": node("SamplerCustom", noise_seed=7, positive=["40", 0], negative=["40", 1], latent_image=["5", 0], cfg=3),
        "n40": node("LTXVConditioning", positive=["6", 0], negative=["7", 0], frame_rate=25.0),
    },
    "two experts": {
        "n3": node("KSamplerAdvanced", noise_seed=7, steps=20, add_noise="disable", start_at_step=10, positive=["6", 0],
                   negative=["7", 0], latent_image=["40", 0]),
        "n40": node("KSamplerAdvanced", noise_seed=7, steps=20, add_noise="enable", start_at_step=0, end_at_step=10,
                    positive=["6", 0], negative=["7", 0], latent_image=["5", 0]),
    },
    "WanVideoWrapper, a bridge": {
        "n3": node("WanVideoSampler", seed=7, steps=30, text_embeds=["40", 0]),
        "n40": node("WanVideoTextEmbedBridge", positive=["6", 0], negative=["7", 0]),
    },
    "KolorsWrapper": {
        "n3": node("KolorsSampler", seed=7, steps=25, kolors_embeds=["40", 0]),
        "n40": node("KolorsTextEncode", prompt="a fox", negative_prompt="blurry", num_images_per_prompt=1),
    },
}  # fmt: skip


@pytest.mark.parametrize("nodes", VIDEO.values(), ids=VIDEO)
def test_videos(nodes):
    found = answer(painting(**nodes))
    assert (found.prompt, found.negative_prompt, found.certainty) == ("a fox", "blurry", "computed")
    assert 7 in (found.settings.get("seed"), found.settings.get("noise_seed"))


def test_an_encoder_for_one_side_has_no_negative_words():
    sampler = node("HyVideoSampler", seed=6, steps=30, hyvid_embeds=["40", 0], flow_shift=9.0)
    found = answer(painting(n3=sampler, n40=node("HyVideoTextEncode", prompt="a fox", force_offload="bad quality")))
    assert (found.prompt, found.negative_prompt) == ("a fox", None)


PROVIDERS = {
    "Impact, two samplers": {
        "n3": node("TwoSamplersForMask", latent_image=["5", 0], base_sampler=["40", 0], mask_sampler=["41", 0]),
        "n40": node("KSamplerProvider", seed=1, steps=20, basic_pipe=["42", 0]),
        "n41": node("KSamplerProvider", seed=1, steps=20, basic_pipe=["43", 0]),
        "n42": node("ToBasicPipe", positive=["6", 0], negative=["7", 0]),
        "n43": node("ToBasicPipe", positive=["7", 0], negative=["7", 0]),
    },
    "Impact, upscaler": {
        "n3": node("IterativeLatentUpscale", samples=["5", 0], upscale_factor=1.5, steps=3, upscaler=["40", 0]),
        "n40": node("PixelKSampleUpscalerProvider", seed=1, steps=20, positive=["6", 0], negative=["7", 0]),
    },
}


@pytest.mark.parametrize("nodes", PROVIDERS.values(), ids=PROVIDERS)
def test_samplers_that_come_through_a_link(nodes):
    assert (answer(painting(**nodes)).prompt, answer(painting(**nodes)).negative_prompt) == ("a fox", "blurry")


def test_nodes_of_subgraphs_have_ids_of_two_parts():
    renamed = {f"57:{key}": value for key, value in painting().items()}
    for entry in renamed.values():
        links = {
            name: [f"57:{value[0]}", value[1]] for name, value in entry["inputs"].items() if isinstance(value, list)
        }
        entry["inputs"] |= links
    assert answer(renamed).prompt == "a fox"


def test_words_that_a_save_node_states_where_no_sampler_is():
    stated = {
        "1": node("LoadImage", image="x.png"),
        "2": node("Image Saver", images=["1", 0], positive="a fox", negative="mud"),
    }
    found = answer(stated)
    assert (found.prompt, found.negative_prompt, found.certainty) == ("a fox", "mud", "written")


def test_a_picture_that_was_only_scaled_has_no_words():
    nodes = {
        "1": node("LoadImage", image="x.png"),
        "2": node("ImageScale", image=["1", 0], width=8, height=8),
        "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
    }
    assert answer(nodes) is None

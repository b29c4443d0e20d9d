"""The widgets of ComfyUI's nodes, in the order in which a workflow lists their values.

Sources: `nodes.py`, `comfy_extras/` and `comfy_api_nodes/` of ComfyUI, the definitions of the packages named below, and
files that hold both the workflow and the executed graph.
"""

from __future__ import annotations

from collections.abc import Mapping

_SAMPLER = "seed steps cfg sampler_name scheduler denoise"
_ADVANCED_SAMPLER = (
    "add_noise noise_seed steps cfg sampler_name scheduler start_at_step end_at_step return_with_leftover_noise"
)
_LOADER = "ckpt_name vae_name clip_skip lora_name lora_model_strength lora_clip_strength"
_EASY_LOADER = f"{_LOADER} resolution empty_latent_width empty_latent_height positive negative batch_size"
_WILDCARDS = "wildcard_text populated_text mode"
_DETAILER = "guide_size guide_size_for max_size seed steps cfg sampler_name scheduler denoise feather noise_mask"
_OLD_DETAILER = f"guide_size guide_size_for {_SAMPLER} feather noise_mask|guide_size {_SAMPLER} feather"
_FACES = (
    "force_inpaint bbox_threshold bbox_dilation bbox_crop_factor sam_detection_hint sam_dilation sam_threshold "
    "sam_bbox_expansion sam_mask_hint_threshold sam_mask_hint_use_negative drop_size"
)
_STYLER = "text_positive text_negative style"
_SIZE = "width height batch_size"
_VIDEO_SIZE = "width height length batch_size"
_REGEX_FLAGS = "case_insensitive multiline dotall"

LAYOUTS: Mapping[str, str] = {
    # ComfyUI: encoders
    "CLIPTextEncode": "text",
    "CLIPTextEncodeSDXL": "width height crop_w crop_h target_width target_height text_g text_l",
    "CLIPTextEncodeSDXLRefiner": "ascore width height text",
    "CLIPTextEncodeSD3": "clip_l clip_g t5xxl empty_padding",
    "CLIPTextEncodeFlux": "clip_l t5xxl guidance",
    "CLIPTextEncodeHunyuanDiT": "bert mt5xl",
    "CLIPTextEncodeHiDream": "clip_l clip_g t5xxl llama",
    "CLIPTextEncodeLumina2": "system_prompt user_prompt",
    "CLIPTextEncodePixArtAlpha": "width height text",
    "CLIPTextEncodeControlnet": "text",
    "CLIPTextEncodeKandinsky5": "clip_l qwen25_7b",
    "TextEncodeQwenImageEdit": "prompt",
    "TextEncodeQwenImageEditPlus": "prompt",
    "TextEncodeZImageOmni": "prompt auto_resize_images",
    "TextEncodeHunyuanVideo_ImageToVideo": "prompt image_interleave",
    "TextEncodeAceStepAudio": "tags lyrics lyrics_strength",
    "GLIGENTextBoxApply": "text width height x y",
    "FluxGuidance": "guidance",
    "ConditioningAverage": "conditioning_to_strength",
    "ConditioningSetArea": "width height x y strength",
    "ConditioningSetAreaPercentage": "width height x y strength",
    "ConditioningSetAreaStrength": "strength",
    "ConditioningSetMask": "strength set_cond_area",
    "ConditioningSetTimestepRange": "start end",
    "unCLIPConditioning": "strength noise_augmentation",
    "ControlNetApply": "strength",
    "ControlNetApplyAdvanced": "strength start_percent end_percent",
    "ControlNetApplySD3": "strength start_percent end_percent",
    # ComfyUI: strings and choices
    "PrimitiveString": "value",
    "PrimitiveStringMultiline": "value",
    "PrimitiveInt": "value",
    "PrimitiveFloat": "value",
    "PrimitiveBoolean": "value",
    "StringConcatenate": "string_a string_b delimiter",
    "StringSubstring": "string start end",
    "StringLength": "string",
    "CaseConverter": "string mode",
    "StringTrim": "string mode",
    "StringReplace": "string find replace",
    "StringContains": "string substring case_sensitive",
    "StringCompare": "string_a string_b mode case_sensitive",
    "RegexMatch": f"string regex_pattern {_REGEX_FLAGS}",
    "RegexExtract": f"string regex_pattern mode {_REGEX_FLAGS} group_index",
    "RegexReplace": f"string regex_pattern replace {_REGEX_FLAGS} count",
    "JsonExtractString": "json_string key",
    "ComfySwitchNode": "switch",
    "ComfySoftSwitchNode": "switch",
    "PreviewAny": "preview_markdown preview_text previewMode",
    # ComfyUI: samplers
    "KSampler": _SAMPLER,
    "KSamplerAdvanced": _ADVANCED_SAMPLER,
    "SamplerCustom": "add_noise noise_seed cfg",
    "RandomNoise": "noise_seed",
    "KSamplerSelect": "sampler_name",
    "BasicScheduler": "scheduler steps denoise",
    "SDTurboScheduler": "steps denoise",
    "AlignYourStepsScheduler": "model_type steps denoise",
    "LTXVScheduler": "steps max_shift base_shift stretch terminal",
    "Flux2Scheduler": "steps width height",
    "CFGGuider": "cfg",
    "DualCFGGuider": "cfg_conds cfg_cond2_negative style",
    # ComfyUI: models, sizes, pictures
    "CheckpointLoader": "config_name ckpt_name",
    "CheckpointLoaderSimple": "ckpt_name",
    "ImageOnlyCheckpointLoader": "ckpt_name",
    "unCLIPCheckpointLoader": "ckpt_name",
    "UNETLoader": "unet_name weight_dtype",
    "CLIPLoader": "clip_name type device",
    "DualCLIPLoader": "clip_name1 clip_name2 type device",
    "TripleCLIPLoader": "clip_name1 clip_name2 clip_name3",
    "QuadrupleCLIPLoader": "clip_name1 clip_name2 clip_name3 clip_name4",
    "CLIPVisionLoader": "clip_name",
    "CLIPSetLastLayer": "stop_at_clip_layer",
    "VAELoader": "vae_name",
    "LoraLoader": "lora_name strength_model strength_clip",
    "LoraLoaderModelOnly": "lora_name strength_model",
    "HypernetworkLoader": "hypernetwork_name strength",
    "ControlNetLoader": "control_net_name",
    "DiffControlNetLoader": "control_net_name",
    "StyleModelLoader": "style_model_name",
    "GLIGENLoader": "gligen_name",
    "ModelPatchLoader": "name",
    "UpscaleModelLoader": "model_name",
    "ModelSamplingAuraFlow": "shift",
    "ModelSamplingSD3": "shift",
    "ModelSamplingFlux": "max_shift base_shift width height",
    "ModelSamplingDiscrete": "sampling zsnr",
    "EmptyLatentImage": _SIZE,
    "EmptySD3LatentImage": _SIZE,
    "EmptyFlux2LatentImage": _SIZE,
    "EmptyHunyuanLatentVideo": _VIDEO_SIZE,
    "EmptyMochiLatentVideo": _VIDEO_SIZE,
    "EmptyLTXVLatentVideo": _VIDEO_SIZE,
    "WanImageToVideo": _VIDEO_SIZE,
    "WanFirstLastFrameToVideo": _VIDEO_SIZE,
    "WanCameraImageToVideo": _VIDEO_SIZE,
    "Wan22ImageToVideoLatent": _VIDEO_SIZE,
    "LTXVImgToVideo": f"{_VIDEO_SIZE} strength",
    "HunyuanImageToVideo": f"{_VIDEO_SIZE} guidance_type",
    "StableCascade_EmptyLatentImage": "width height compression batch_size",
    "SVD_img2vid_Conditioning": "width height video_frames motion_bucket_id fps augmentation_level",
    "LTXVConditioning": "frame_rate",
    "LatentUpscale": "upscale_method width height crop",
    "LatentUpscaleBy": "upscale_method scale_by",
    "LatentComposite": "x y feather",
    "RepeatLatentBatch": "amount",
    "ImageScale": "upscale_method width height crop",
    "ImageScaleBy": "upscale_method scale_by",
    "ImageScaleToTotalPixels": "upscale_method megapixels",
    "VAEEncodeForInpaint": "grow_mask_by",
    "VAEDecodeTiled": "tile_size overlap temporal_size temporal_overlap",
    "VAEEncodeTiled": "tile_size overlap temporal_size temporal_overlap",
    "InpaintModelConditioning": "noise_mask",
    "CLIPVisionEncode": "crop",
    "LoadImage": "image",
    "LoadImageMask": "image channel",
    "SaveImage": "filename_prefix",
    "SaveAnimatedWEBP": "filename_prefix fps lossless quality method",
    "SaveAnimatedPNG": "filename_prefix fps compress_level",
    "SaveWEBM": "filename_prefix codec fps crf",
    "SaveVideo": "filename_prefix format codec",
    "CreateVideo": "fps",
    # ComfyUI: hosted models
    "OpenAIDalle2": "prompt seed size n",
    "OpenAIDalle3": "prompt seed quality style size",
    "OpenAIGPTImage1": "prompt seed quality background size n",
    "FluxProUltraImageNode": "prompt prompt_upsampling seed aspect_ratio raw image_prompt_strength",
    "FluxKontextProImageNode": "prompt aspect_ratio guidance steps seed prompt_upsampling",
    "FluxKontextMaxImageNode": "prompt aspect_ratio guidance steps seed prompt_upsampling",
    "IdeogramV1": "prompt turbo aspect_ratio magic_prompt_option seed negative_prompt num_images",
    "IdeogramV2": "prompt turbo aspect_ratio resolution magic_prompt_option seed style_type negative_prompt num_images",
    "IdeogramV3": "prompt aspect_ratio resolution magic_prompt_option seed num_images rendering_speed",
    "RecraftTextToImageNode": "prompt size n seed negative_prompt",
    "LumaImageNode": "prompt model aspect_ratio seed style_image_weight",
    "LumaImageModifyNode": "prompt image_weight model seed",
    "RunwayTextToImageNode": "prompt ratio",
    "StabilityStableImageUltraNode": "prompt aspect_ratio style_preset seed negative_prompt image_denoise"
    "|prompt aspect_ratio style_preset seed image_denoise",
    "StabilityStableImageSD_3_5Node": "prompt model aspect_ratio style_preset cfg_scale seed image_denoise",
    "GeminiImageNode": "prompt model seed",
    "MoonvalleyTxt2VideoNode": "prompt negative_prompt resolution prompt_adherence seed steps",
    "MoonvalleyImg2VideoNode": "prompt negative_prompt resolution prompt_adherence seed steps",
    "MoonvalleyVideo2VideoNode": "prompt negative_prompt seed control_type motion_intensity steps",
    "KlingTextToVideoNode": "prompt negative_prompt cfg_scale aspect_ratio mode",
    # Impact Pack and Inspire Pack (ltdrdata)
    "ImpactWildcardProcessor": f"{_WILDCARDS} seed -",
    "ImpactWildcardEncode": f"{_WILDCARDS} - - seed",
    "WildcardEncode //Inspire": f"token_normalization weight_interpretation {_WILDCARDS} - - seed",
    "StringSelector": "strings multiline select",
    "ImpactStringSelector": "strings multiline select",
    "ImpactSwitch": "select sel_mode",
    "StringListToString": "join_with",
    "ImpactKSamplerBasicPipe": _SAMPLER,
    "ImpactKSamplerAdvancedBasicPipe": _ADVANCED_SAMPLER,
    "KSampler //Inspire": f"{_SAMPLER} noise_mode batch_seed_mode variation_seed variation_strength",
    "KSamplerAdvanced //Inspire": "add_noise noise_seed steps cfg sampler_name scheduler start_at_step end_at_step "
    "noise_mode return_with_leftover_noise batch_seed_mode variation_seed variation_strength",
    "KSamplerProvider": _SAMPLER,
    "KSamplerAdvancedProvider": "cfg sampler_name scheduler",
    "PixelKSampleUpscalerProvider": f"scale_method {_SAMPLER} use_tiled_vae tile_size",
    "PixelKSampleUpscalerProviderPipe": f"scale_method {_SAMPLER} use_tiled_vae tile_size",
    "IterativeLatentUpscale": "upscale_factor steps temp_prefix step_mode|upscale_factor steps temp_prefix",
    "DetailerForEach": f"{_DETAILER} force_inpaint wildcard cycle|{_OLD_DETAILER}",
    "DetailerForEachDebug": f"{_DETAILER} force_inpaint wildcard cycle|{_OLD_DETAILER}",
    "DetailerForEachPipe": f"{_DETAILER} force_inpaint wildcard refiner_ratio",
    "DetailerForEachDebugPipe": f"{_DETAILER} force_inpaint wildcard refiner_ratio|{_DETAILER} force_inpaint",
    "FaceDetailer": f"{_DETAILER} {_FACES} wildcard cycle",
    "FaceDetailerPipe": f"{_DETAILER} {_FACES} refiner_ratio cycle",
    "BasicPipeToDetailerPipe": "wildcard - -",
    "ToDetailerPipe": "wildcard - -",
    "ToDetailerPipeSDXL": "wildcard - -",
    "EditDetailerPipe": "wildcard - -",
    "UltralyticsDetectorProvider": "model_name",
    "SAMLoader": "model_name device_mode",
    "CLIPSegDetectorProvider": "text blur threshold dilation_factor",
    "RegionalConditioningSimple //Inspire": "strength set_cond_area prompt",
    "RegionalConditioningColorMask //Inspire": "mask_color strength set_cond_area prompt",
    "RegionalPromptSimple //Inspire": "cfg sampler_name scheduler wildcard_prompt",
    "RegionalPromptColorMask //Inspire": "mask_color cfg sampler_name scheduler wildcard_prompt",
    "PromptBuilder //Inspire": "category preset text",
    "ZipPrompt //Inspire": "positive negative name_opt",
    "LoadPromptsFromFile //Inspire": "prompt_file",
    "LoadSinglePromptFromFile //Inspire": "prompt_file index",
    # Efficiency Nodes
    "Efficient Loader": f"{_LOADER} positive negative token_normalization weight_interpretation "
    f"empty_latent_width empty_latent_height batch_size|{_LOADER} positive negative empty_latent_width "
    "empty_latent_height batch_size",
    "Eff. Loader SDXL": "base_ckpt_name base_clip_skip refiner_ckpt_name refiner_clip_skip positive_ascore "
    "negative_ascore vae_name positive negative token_normalization weight_interpretation empty_latent_width "
    "empty_latent_height batch_size",
    "KSampler (Efficient)": f"{_SAMPLER} preview_method vae_decode|sampler_state {_SAMPLER} preview_image"
    f"|sampler_state my_unique_id {_SAMPLER} preview_image",
    # Easy-Use
    "easy positive": "positive",
    "easy negative": "negative",
    "easy wildcards": "text - - seed multiline_mode",
    "easy string": "value",
    "easy promptConcat": "prompt1 prompt2 separator",
    "easy promptReplace": "prompt find1 replace1 find2 replace2 find3 replace3",
    "easy promptLine": "prompt start_index max_rows",
    "easy promptList": "prompt_1 prompt_2 prompt_3 prompt_4 prompt_5",
    "easy textSwitch": "input",
    "easy comfyLoader": _EASY_LOADER,
    "easy a1111Loader": f"{_EASY_LOADER} a1111_prompt_style",
    "easy fullLoader": f"ckpt_name config_name {_LOADER.removeprefix('ckpt_name ')} resolution empty_latent_width "
    "empty_latent_height positive positive_token_normalization positive_weight_interpretation negative "
    "negative_token_normalization negative_weight_interpretation batch_size a1111_prompt_style",
    # rgthree
    "Power Prompt (rgthree)": "prompt insert_lora insert_embedding insert_saved",
    "Power Prompt - Simple (rgthree)": "prompt insert_embedding insert_saved",
    "SDXL Power Prompt - Positive (rgthree)": "prompt_g prompt_l insert_lora insert_embedding insert_saved "
    "target_width target_height crop_width crop_height",
    "SDXL Power Prompt - Simple / Negative (rgthree)": "prompt_g prompt_l insert_embedding insert_saved "
    "target_width target_height crop_width crop_height",
    "Seed (rgthree)": "seed - - -",
    "SDXL Empty Latent Image (rgthree)": "dimensions clip_scale batch_size",
    # WAS Node Suite
    "Text Multiline": "text",
    "Text String": "text text_b text_c text_d|text",
    "Text Concatenate": "delimiter clean_whitespace|linebreak_addition",
    "Text Random Line": "seed",
    "Text to Console": "label",
    "Text Load Line From File": "file_path dictionary_name label mode index",
    "Load Text File": "file_path dictionary_name",
    "CLIPTextEncode (NSP)": "mode noodle_key seed text",
    "Prompt Styles Selector": "style",
    "Prompt Multiple Styles Selector": "style1 style2 style3 style4",
    "KSampler (WAS)": _SAMPLER,
    "Latent Upscale by Factor (WAS)": "mode factor align",
    "Image Resize": "mode supersample resampling rescale_factor resize_width resize_height",
    "Seed": "seed",
    # Comfyroll
    "CR Prompt Text": "prompt",
    "CR Text": "text",
    "CR Combine Prompt": "part1 part2 part3 part4 separator",
    "CR Text Concatenate": "text1 text2 separator",
    "CR Text Replace": "text find1 replace1 find2 replace2 find3 replace3",
    "CR Text Input Switch": "Input",
    "CR Seed": "seed",
    "CR LoRA Stack": "switch_1 lora_name_1 model_weight_1 clip_weight_1 switch_2 lora_name_2 model_weight_2 "
    "clip_weight_2 switch_3 lora_name_3 model_weight_3 clip_weight_3",
    # KJNodes and Kijai's wrappers of video models
    "StringConstant": "string",
    "StringConstantMultiline": "string strip_newlines",
    "JoinStrings": "delimiter",
    "INTConstant": "value",
    "WanVideoTextEncode": "positive_prompt negative_prompt force_offload",
    "WanVideoTextEncodeSingle": "prompt force_offload",
    "WanVideoTextEncodeCached": "model_name precision positive_prompt negative_prompt",
    "WanVideoSampler": "steps cfg shift seed force_offload scheduler riflex_freq_index",
    "HyVideoTextEncode": "prompt force_offload",
    "CogVideoTextEncode": "prompt strength force_offload",
    "MochiTextEncode": "prompt strength force_offload",
    # Searge-SDXL
    "SeargeAdvancedParameters": "dynamic_cfg_method dynamic_cfg_factor refiner_detail_boost contrast_factor "
    "saturation_factor latent_detailer",
    "SeargeConditioningParameters": "base_conditioning_scale refiner_conditioning_scale target_conditioning_scale "
    "positive_conditioning_scale negative_conditioning_scale positive_aesthetic_score negative_aesthetic_score "
    "precondition_mode precondition_strength",
    "SeargeControlnetAdapterV2": "controlnet_mode controlnet_preprocessor strength low_threshold high_threshold "
    "start_percent end_percent noise_augmentation revision_enhancer",
    "SeargeControlnetModels": "clip_vision canny_checkpoint depth_checkpoint recolor_checkpoint sketch_checkpoint "
    "custom_checkpoint",
    "SeargeGenerationParameters": "seed image_size_preset image_width image_height steps cfg sampler_preset "
    "sampler_name scheduler base_vs_refiner_ratio",
    "SeargeHighResolution": "hires_mode hires_scale hires_denoise hires_softness hires_detail_boost "
    "hires_contrast_factor hires_saturation_factor hires_latent_detailer final_upscale_size",
    "SeargeImage2ImageAndInpainting": "denoise inpaint_mask_blur inpaint_mask_mode",
    "SeargeImageSaving": "save_parameters_file save_folder save_generated_image embed_workflow_in_generated "
    "generated_image_name save_high_res_image embed_workflow_in_high_res high_res_image_name save_upscaled_image "
    "embed_workflow_in_upscaled upscaled_image_name",
    "SeargeLoras": "lora_1 lora_1_strength lora_2 lora_2_strength lora_3 lora_3_strength lora_4 lora_4_strength "
    "lora_5 lora_5_strength",
    "SeargeMagicBox": "stage input_from output_to",
    "SeargeModelSelector": "base_checkpoint refiner_checkpoint vae_checkpoint",
    "SeargeOperatingMode": "workflow_mode prompting_mode batch_size",
    "SeargeTextInputV2": "prompt",
    "SeargeUpscaleModels": "detail_processor high_res_upscaler primary_upscaler secondary_upscaler",
    "SeargePromptText": "prompt",
    # Others
    "ShowText|pysssss": "text_0",
    "WD14Tagger|pysssss": "model threshold character_threshold replace_underscore trailing_comma exclude_tags tags",
    "StringFunction|pysssss": "action tidy_tags text_a text_b text_c",
    "BNK_CLIPTextEncodeAdvanced": "text token_normalization weight_interpretation",
    "BNK_CutoffBasePrompt": "text",
    "BNK_CutoffSetRegions": "region_text target_text weight",
    "BNK_CutoffRegionsToConditioning": "mask_token strict_mask start_from_masked",
    "BNK_TiledKSamplerAdvanced": "add_noise noise_seed tile_width tile_height concurrent_tiles steps cfg sampler_name "
    "scheduler start_at_step end_at_step return_with_leftover_noise",
    "BNK_NoisyLatentImage": f"source seed {_SIZE}",
    "smZ CLIPTextEncode": "text parser",
    "CLIPTextEncodeSDXL+": "width height size_cond_factor text",
    "TextEncodeForSamplerParams+": "text",
    "FluxSamplerParams+": "seed sampler scheduler steps guidance max_shift base_shift denoise",
    "SDXLPromptStyler": f"{_STYLER} log_prompt",
    "SDXLPromptStylerAdvanced": "text_positive_g text_positive_l text_negative style",
    "DPRandomGenerator": "text seed autorefresh",
    "DPCombinatorialGenerator": "text seed autorefresh",
    "String Literal": "string",
    "DF_Text_Box": "Text",
    "DF_Text": "Text",
    "Text _O": "text",
    "JWString": "text",
    "JWStringMultiline": "text",
    "ttN text": "text",
    "UnetLoaderGGUF": "unet_name",
    "CLIPLoaderGGUF": "clip_name type",
    "DualCLIPLoaderGGUF": "clip_name1 clip_name2 type",
}
"""The names of the widgets by kind of node.

`|` separates the layouts of different versions, `-` stands for a widget whose value no input takes, such as a button.
"""

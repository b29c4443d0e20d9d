"""Two command lines for each command, which its help and docs/cli.md show; a test reads every one of them."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, str]] = {
    "unprompt": (
        "unprompt picture.png",
        "unprompt pictures/ -o prompts.jsonl --resume",
    ),
    "unprompt predict": (
        "unprompt predict pictures/ -o prompts.csv --excel",
        "unprompt predict pictures/ --sidecar --style tags",
    ),
    "unprompt interrogate": (
        "unprompt interrogate picture.png --mode fast",
        "unprompt interrogate pictures/ --clip ViT-L-14.openai -o prompts.jsonl",
    ),
    "unprompt merge": (
        "unprompt merge run/ -o prompts.jsonl",
        "unprompt merge run/ -o prompts.parquet --partial",
    ),
    "unprompt metadata": (
        "unprompt metadata picture.png",
        "unprompt metadata pictures/ --field seed",
    ),
    "unprompt score": (
        "unprompt score picture.png 'a red fox in the snow' 'a cat'",
        "unprompt score picture.png 'a red fox' --format json",
    ),
    "unprompt similar": (
        "unprompt similar picture.png --top 5",
        "unprompt similar pictures/ --bank prompts.bank -o similar.jsonl",
    ),
    "unprompt serve": (
        "unprompt serve",
        "unprompt serve --host 0.0.0.0 --api-key-file keys.txt",
    ),
    "unprompt evaluate": (
        "unprompt evaluate val.jsonl --by kind --html report.html",
        "unprompt evaluate val.jsonl --compare embedded mine.toml",
    ),
    "unprompt train": (
        "unprompt train recipe.toml",
        "unprompt train recipe.toml optimisation.epochs=3 -o runs/short",
    ),
    "unprompt data generate": (
        "unprompt data generate prompts.txt -o pairs/",
        "unprompt data generate prompts.txt -o pairs/ --seeds 4 --size 512",
    ),
    "unprompt data clean": (
        "unprompt data clean prompts.txt -o clean.txt",
        "unprompt data clean pairs/ -o pairs/clean.jsonl --min-words 3",
    ),
    "unprompt data dedupe": (
        "unprompt data dedupe prompts.txt -o distinct.txt",
        "unprompt data dedupe prompts.txt -o distinct.txt --threshold 0.9 --pairs near.jsonl",
    ),
    "unprompt data split": (
        "unprompt data split prompts.txt -o parts/",
        "unprompt data split pairs/ -o parts/ --share 0.2 --tar",
    ),
    "unprompt data stats": (
        "unprompt data stats prompts.txt",
        "unprompt data stats pairs/ --threshold 0 --json stats.json",
    ),
    "unprompt bank build": (
        "unprompt bank build prompts.txt -o prompts.bank",
        "unprompt bank build prompts.txt -o prompts.bank --clip ViT-L-14.openai --numbers int8",
    ),
    "unprompt bank index": (
        "unprompt bank index prompts.bank",
        "unprompt bank index prompts.bank --threads 8 --quiet",
    ),
    "unprompt bank verify": (
        "unprompt bank verify prompts.bank",
        "unprompt bank verify prompts.bank --quiet",
    ),
    "unprompt codebook build": (
        "unprompt codebook build prompts.txt -o mine.codebook",
        "unprompt codebook build prompts.txt -o mine.codebook --size 500 --apart-from val.jsonl",
    ),
    "unprompt models list": (
        "unprompt models list",
        "unprompt models list --published",
    ),
    "unprompt models verify": (
        "unprompt models verify",
        "unprompt models verify all-MiniLM-L6-v2.unprompt",
    ),
    "unprompt models fetch": (
        "unprompt models fetch --preset published",
        "unprompt models fetch blip-large ViT-L-14.openai",
    ),
    "unprompt models export": (
        "unprompt models export runs/recipe model/ --int8",
        "unprompt models export local:torch-model model/",
    ),
    "unprompt models convert": (
        "unprompt models convert vit.pth --architecture vit_base_patch16_224 --preprocessing published",
        "unprompt models convert vit.safetensors --architecture vit_base_patch16_224 --preprocessing model -o model/",
    ),
    "unprompt models soup": (
        "unprompt models soup runs/a runs/b runs/c -o soup/",
        "unprompt models soup runs/a runs/b runs/c -o soup/ --greedy",
    ),
    "unprompt kaggle submit": (
        "unprompt kaggle submit images/ -o submission.csv",
        "unprompt kaggle submit images/ --like sample_submission.csv --fill mean",
    ),
    "unprompt kaggle check": (
        "unprompt kaggle check submission.csv",
        "unprompt kaggle check submission.csv --like sample_submission.csv",
    ),
    "unprompt kaggle score": (
        "unprompt kaggle score submission.csv --truth prompts.csv",
        "unprompt kaggle score submission.csv --truth prompts.csv --by-image",
    ),
    "unprompt presets list": (
        "unprompt presets list",
        "unprompt presets list --quiet",
    ),
    "unprompt presets show": (
        "unprompt presets show published",
        "unprompt presets show embedded --toml > mine.toml",
    ),
    "unprompt presets calibrate": (
        "unprompt presets calibrate embedded val.jsonl -o calibrated.toml",
        "unprompt presets calibrate mine.toml val.jsonl -o mine.toml --overwrite",
    ),
    "unprompt presets fit": (
        "unprompt presets fit val.jsonl --preset published",
        "unprompt presets fit val.jsonl --preset published -o mine.toml",
    ),
    "unprompt vocabulary list": (
        "unprompt vocabulary list",
        "unprompt vocabulary list flavors --exclude words.txt",
    ),
    "unprompt vocabulary check": (
        "unprompt vocabulary check terms/",
        "unprompt vocabulary check flavors.txt artists.txt",
    ),
    "unprompt vocabulary build": (
        "unprompt vocabulary build",
        "unprompt vocabulary build --clip ViT-L-14.openai --without artists",
    ),
    "unprompt doctor": (
        "unprompt doctor",
        "unprompt doctor --offline --json",
    ),
}

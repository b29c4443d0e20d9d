"""A small vocabulary in files, with a list of each kind that a mode asks for."""

from pathlib import Path

LISTS = {
    "mediums": ["an oil painting", "a photograph", "a pencil sketch"],
    "artists": ["by the village baker", "by my sister"],
    "movements": ["impressionism", "pop art"],
    "lighting": ["soft light", "neon light", "candle light"],
    "flavors": ["moody", "highly detailed", "a cat", "rainy street", "mountain lake", "bokeh", "at night", "sunset"],
    "negative": ["blurry", "ugly", "watermark"],
}


def write(folder: Path, **changes: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, terms in {**LISTS, **changes}.items():
        (folder / f"{name}.txt").write_text("\n".join(terms) + "\n", encoding="utf-8")
    return folder

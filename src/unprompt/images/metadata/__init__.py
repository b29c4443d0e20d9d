"""The prompt that a generator wrote into the picture's file.

- `reader.py` is the only door: it asks one reader after the other. Open it first.
- `fields.py` collects the text fields of a file, with `exif.py`, `xmp.py` and `stealth.py` for hidden ones.
- `a1111.py`, `comfyui.py`, `invokeai.py` and so on: one reader for each tool.
- `cleaning.py` takes weights and LoRA tags out of a prompt; `composing.py` puts a `WrittenPrompt` together.
- `bounded_json.py` parses JSON from strangers within limits.
"""

from __future__ import annotations

from unprompt.images.metadata.reader import read

__all__ = ["read"]

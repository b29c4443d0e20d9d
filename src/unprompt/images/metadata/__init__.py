"""The prompt that a generator wrote into the picture's file.

- `reader.py` is the only entry: it tries one tool's reader after the other. Open it first.
- `fields.py` extracts the texts of a file with `exif.py` and `xmp.py`; `stealth.py` finds those hidden in pixels.
- `a1111.py`, `comfyui/`, `invokeai.py` and so on: one reader for each tool.
- `graphs.py` finds ComfyUI's graph as text; `stripping/` writes a copy of a file without any of it.
- `infotext.py` splits AUTOMATIC1111's text, which many tools write; `beside.py` reads text files beside a picture.
- `cleaning.py` takes weights and tags out of a prompt, `tags.py` the models; `composing.py` builds a `WrittenPrompt`.
- `bounded_json.py` parses untrusted JSON within limits.
"""

from __future__ import annotations

from unprompt.images.metadata.reader import inspect, read

__all__ = ["inspect", "read"]

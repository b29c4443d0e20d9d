"""What a picture's own file says: the prompt that its generator wrote into it. `read` is the only door."""

from __future__ import annotations

from unprompt.images.metadata.reader import read

__all__ = ["read"]

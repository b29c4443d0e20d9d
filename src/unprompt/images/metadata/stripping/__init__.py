"""Copies of pictures and videos without the texts in them; what the pixels depend on is copied byte for byte.

Open it first: `copies.py`, which chooses one of the files beside it, one for each kind of container.
They raise the errors of `damage.py`.
"""

from unprompt.images.metadata.stripping.copies import strip as strip

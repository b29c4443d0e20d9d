"""Two-tower models: pictures and texts in one space, as CLIP has them.

- `two_tower.py` is the interface of all of them. Open it first.
- `opening.py` opens one by name: the embedded pair (`embedded.py`) or open_clip's (`open_clip.py`).
- `open_clip_model.py` builds open_clip's model from a config and weights; `tokens.py` tokenizes as it does.
- `causal.py` and `token_tree.py` compute common prefixes of texts only once; `texts.py` is the text tower alone.
- `needs.py` says which files a model needs.
"""

"""Data sets of pictures with their prompts: reading, cleaning, de-duplicating, splitting and making them.

- `pairs.py` reads pairs from whatever layout is given. Open it first.
- `records.py` is what all layouts come to; `tables.py`, `parquet.py`, `tars.py`, `hub.py`, `arrow.py` read one each.
- `prompts.py` reads prompts alone; `vectors.py` encodes them once and keeps the vectors on disk.
- `cleaning.py`, `deduplication.py`, `splitting.py` and `statistics.py` are the commands of `unprompt data`.
- `near_pairs.py` and `comparison.py` find prompts that are nearly the same; `outputs.py` writes what is left.
- `generation/` makes pairs with a text-to-image model.
"""

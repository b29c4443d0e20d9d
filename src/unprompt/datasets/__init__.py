"""Data sets of pictures with their prompts: reading, cleaning, de-duplicating, splitting and making them.

- `pairs.py` reads pairs from whatever layout is given. Open it first.
- `records.py` is what every layout is read into; `tables.py`, `arrays.py`, `captions.py`, `parquet.py`, `tars.py` and
  `hub.py` read one each. `places.py` finds the pictures that a list names.
- `prompts.py` reads prompts alone; `vectors.py` encodes them once and caches the vectors on disk.
- `cleaning.py`, `deduplication.py`, `splitting.py` and `statistics.py` are the commands of `unprompt data`.
- `near_pairs.py` and `comparison.py` find prompts that are nearly the same; `outputs.py` writes the results.
- `generation/` makes pairs with a text-to-image model.
"""

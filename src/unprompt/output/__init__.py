"""Answers on their way out.

- `records.py` turns a prediction into the record that every format writes. Open it first.
- `writers.py` opens the writer of a format; `lines.py`, `tables.py`, `parquet.py` are the formats.
- `files.py` holds an output that a killed run can continue; `journal.py` remembers what was answered.
- `packing.py` stores a prediction exactly; `vectors.py` writes .npy files; `sidecars.py` a text beside a picture.
- `phrasing.py` applies the user's template, prefix and replacements to a prompt.
"""

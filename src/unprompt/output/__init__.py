"""Answers on their way out.

- `records.py` turns a prediction into the record that every format writes. Open it first.
- `formats.py` finds a format and opens its writer; each format is the module of its name: `text.py`, `json.py`,
  `jsonl.py`, `csv.py`, `parquet.py`.
- `files.py` holds an output that a killed run can continue; `journal.py` remembers what was answered.
- `packing.py` stores a prediction exactly; `vectors.py` writes .npy files; `sidecars.py` a text beside a picture.
- `phrasing.py` applies the user's template, prefix and replacements to a prompt.
"""

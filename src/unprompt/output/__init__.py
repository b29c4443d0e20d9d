"""Writes answers to files, tables and sidecars.

- `records.py` turns a prediction into the record that every format writes. Open it first.
- `formats.py` finds a format and opens its writer; each format has the module of its name: `text.py`, `json.py`,
  `jsonl.py`, `csv.py`, `parquet.py`, `html.py` (with `gallery.html`, `.css` and `.js`).
- `pages.py` shows people what a file says; `values.py` finds one value of it by the name that people use.
- `files.py` is an output file that a later run can continue; `journal.py` stores answers for such a run.
- `packing.py` stores a prediction exactly; `vectors.py` writes .npy files.
- `sidecars.py` writes a text beside a picture, of a kind of `sidecar_texts.py`; `own_texts.py` remembers what is ours.
- `phrasing.py` applies the user's template, prefix and replacements to a prompt; `filtering.py` leaves answers out.
"""

"""Vocabularies: the lists of terms that pictures are compared with.

- `vocabulary.py` loads one from our lists, clip-interrogator's or the user's. Open it first.
- `category.py` is one list; `terms.py` and `term_files.py` read and clean terms from untrusted files.
- `exclusion.py` filters terms out by word; `original.py` finds clip-interrogator's own lists.
- `tables.py` caches the vectors of a list on disk, in the format of `vector_file.py`.
- `ranking.py` finds the exact nearest terms to a picture among millions.
"""

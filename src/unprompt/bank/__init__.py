"""Prompt banks: millions of prompts with their vectors on disk, searched for those nearest to a picture.

- `bank.py` opens a bank and searches it exactly. Open it first.
- `building.py` writes one; a killed build continues where it stopped.
- `index.py` searches a large bank approximately; `indexing.py` makes the index with faiss.
- `layout.py` defines the files of a bank and checks its config; `codes.py` reads vectors of 8 bits per number.
- `readahead.py` prefetches many parts of a mapped file at once; `needs.py` reports what is missing on disk.
"""

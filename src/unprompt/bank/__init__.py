"""Prompt banks: millions of prompts with their vectors on disk, searched for those nearest to a picture.

- `bank.py` opens a bank and searches it exactly. Open it first.
- `building.py` writes one; a killed build goes on where it stopped.
- `index.py` searches a large bank approximately; `indexing.py` makes the index with faiss.
- `layout.py` says which files a bank consists of, and checks its config.
- `readahead.py` asks for many parts of a mapped file at once; `needs.py` says what is missing on the disk.
"""

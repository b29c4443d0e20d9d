"""Sentences and their vectors.

- `sentence.py` is all-MiniLM-L6-v2: sentences in, unit vectors (384,) out. Open it first.
- `decoder.py` goes back: a vector in, sentences out.
- `similarity.py` holds the public functions `embed` and `similarity`.
- `tokenizers.py` counts and cuts tokens; `phrases.py` holds the phrases that wording may add to a sentence.
- `content_words.py` says which words of a text name something, and their stems.
- `products.py` multiplies small matrices on one thread; `fingerprints.py` remembers texts in 8 bytes each.
"""

"""CLIP Interrogator's method: a caption, and the terms of a vocabulary that match the picture best.

- `interrogator.py` is the public class: pictures in, texts out. Open it first.
- `interrogation.py` holds its settings and its answer.
- `writer.py` writes the text of each mode; `chain.py` adds one term after the other; `lists.py` ranks terms.
- `sentence.py` joins caption and terms within the model's token limit; `captions.py` opens captioners.
"""

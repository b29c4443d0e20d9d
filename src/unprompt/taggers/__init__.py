"""Taggers: networks that give every tag of a fixed list its probability, run by onnxruntime without torch.

- `families.py` is the table of what differs between publishers: files, preprocessing, thresholds. Open it first.
- `tagger.py` runs one: pictures in, tags out. `opening.py` opens it by name; `needs.py` says which files it lacks.
- `squares.py` turns pictures into inputs; `tag_files.py` reads the list of tags.
- `choosing.py` picks tags by their probabilities; `implied.py` knows which say nothing new; `spelling.py` writes them.
"""

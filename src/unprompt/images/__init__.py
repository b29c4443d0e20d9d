"""Finds, reads and decodes pictures: from what a user names to pixels in memory.

- `sources.py` turns paths, folders, patterns, lists, tars, addresses and bytes into `ImageRef`s. Open it first.
- `ref.py` holds one picture to read; `files.py`, `folders.py`, `lists.py`, `archives.py` and `web/` find and read it.
- `decode.py` turns bytes into a `Picture`: EXIF orientation, limits on pixels and memory, the file's hash.
- `formats.py` and `costs.py` judge a file before it is decoded; `room.py` shares memory between threads.
- `rgb.py` makes RGB pixels, `preprocess.py` turns them into a model's input, `reading.py` decodes ahead.
- `arrays.py` says which arrays and tensors are pictures, and what their numbers mean.
- `metadata/` reads the prompt that a generator wrote into the file; `written.py` also beside it.
"""

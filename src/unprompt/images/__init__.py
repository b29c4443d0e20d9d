"""From what a user names to pixels in memory.

- `sources.py` turns paths, folders, patterns, lists, tars, addresses and bytes into `ImageRef`s. Open it first.
- `ref.py` is one picture to read; `files.py`, `folders.py`, `lists.py`, `archives.py` and `web/` find and read it.
- `decode.py` turns bytes into a `Picture`: EXIF orientation, limits on pixels and memory, the file's hash.
- `costs.py`, `room.py` and `formats.py` say what a file would take, before anything is decoded.
- `rgb.py` makes RGB pixels; `preprocess.py` makes the input of a model from them; `reading.py` decodes ahead.
- `metadata/` reads the prompt that a generator wrote into the file.
"""

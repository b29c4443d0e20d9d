"""Model folders: finding, downloading and checking them.

- `folder.py` is one model folder: config, hashes, files. Open it first.
- `registry.py` finds a folder by a model's name; `published_models.py` lists the models on the hub.
- `hub_cache.py` finds files of the hub on this disk; `hub_download.py` downloads them, with resumption and hashes;
  `hub.py` tries the one and then the other.
- `image_model.py` reads the preprocessing stored with weights; `checkpoint.py` reads untrusted weights safely.
- `stored_vectors.py` reads arrays of vectors; `needs.py` says which files a model lacks.
"""

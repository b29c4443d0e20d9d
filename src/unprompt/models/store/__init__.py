"""Model folders: where they are, what lies in them, and how they are downloaded and checked.

- `folder.py` is one model folder: config, hashes, files. Open it first.
- `registry.py` finds a folder by a model's name; `published_models.py` knows the models of the hub.
- `hub_download.py` downloads from the hub, resumed and hashed; `hub.py` and `hub_cache.py` find what is here.
- `image_model.py` reads the preprocessing that travels with weights; `checkpoint.py` reads foreign weights safely.
- `stored_vectors.py` reads arrays of vectors; `needs.py` says which files a model lacks.
"""

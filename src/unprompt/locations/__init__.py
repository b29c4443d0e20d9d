"""Folders on this machine or in an object store, by one protocol: list in pages, read, write, create once.

- `location.py` opens a folder by its path or address. Open it first.
- `folder.py` is the protocol that every folder keeps, `address.py` tells addresses from paths.
- `local.py` is a folder on this machine, `remote.py` one in an object store, through fsspec: the extra [cloud].
- `stores.py` is the table of stores: what each needs installed, how it is listed, what it promises.
- `troubles.py` turns what a store's client raises into one error with a kind; `patience.py` tries again.
"""

"""Pictures at http(s) addresses, read within limits and only from public hosts.

- `address.py` is a picture at an address; no import or connection happens before it is read. Open it first.
- `folders.py` finds the pictures in a folder or a tar at an address.
- `download.py` fetches it: redirects, time limit, size limit, content type.
- `connections.py` guards each connection, `addresses.py` says which IP addresses are public.
- `limits.py` holds the limits of one download.
"""

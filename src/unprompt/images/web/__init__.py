"""Pictures at http(s) addresses, read within limits and only from public hosts.

- `address.py` is a picture at an address; nothing is imported or connected before it is read. Open it first.
- `download.py` reads it: redirects, time limit, size limit, content type.
- `connections.py` guards each connection, `addresses.py` says which IP addresses are public.
- `limits.py` holds what one download may take.
"""

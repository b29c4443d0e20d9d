"""Opens a folder: on this machine by its path, or in an object store by an address such as s3://BUCKET/DIR."""

from __future__ import annotations

from unprompt.locations.address import is_remote, local_path
from unprompt.locations.folder import Folder


def folder_at(location: str) -> Folder:
    """The folder at a path or an address; nothing is opened or connected to yet.

    Raises LocationError: bad-url (an unknown scheme, or credentials in the address), missing-extra.
    """
    if is_remote(location):
        from unprompt.locations.remote import RemoteFolder

        return RemoteFolder.at(location)
    from unprompt.locations.local import LocalFolder

    return LocalFolder(local_path(location))

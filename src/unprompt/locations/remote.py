"""A folder in an object store, through fsspec and the store's own client."""

from __future__ import annotations

import functools
import io
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from unprompt.display import printable
from unprompt.errors import LocationError
from unprompt.locations.address import masked, parted, scheme_of, shown
from unprompt.locations.folder import Entry
from unprompt.locations.hub_reach import hub_fault
from unprompt.locations.stores import STORES, Config, Store, check_online, store_of
from unprompt.locations.troubles import exists_already, is_passing, is_past_end, trouble

if TYPE_CHECKING:
    from typing_extensions import Buffer

Result = TypeVar("Result")

BLOCK = 8 << 20
"""Bytes of one request of a file that is read in pieces."""


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder in an object store; `root` is its bucket and path, without a scheme and without "/" at the end."""

    scheme: str
    store: Store
    root: str

    @classmethod
    def at(cls, address: str) -> RemoteFolder:
        """The folder at an address such as s3://BUCKET/DIR. Raises LocationError: bad-url, missing-extra."""
        scheme = scheme_of(address) or ""
        store = store_of(scheme, shown(address))
        root = address.partition("://")[2].rstrip("/")
        if not root.strip("/") and store.endpoint is not None:
            raise LocationError("bad-url", f"expected {scheme}://BUCKET/DIR, found {shown(address)}; name the bucket")
        if "@" in root.partition("/")[0] and store.protocol != "hf":
            raise LocationError(
                "bad-url",
                f"expected an address without credentials, found {shown(address)}; {store.login or 'omit them'}",
            )
        return cls(scheme, store, root)

    @property
    def address(self) -> str:
        """The folder's address."""
        return masked(f"{self.scheme}://{self.root}")

    @property
    def shown(self) -> str:
        """The address as messages show it."""
        return printable(self.address)

    def pages(self, prefix: str = "") -> Iterator[list[Entry]]:
        """Everything below the folder, in the store's order, a page at a time; see `Folder`."""
        what = f"{self.shown} to be listed"
        client = self._asked(self._client, what)
        pages = self.store.pages(client, self.root, prefix, lambda work: self._asked(work, what))
        bucket_is_there = False
        try:
            for page in pages:
                bucket_is_there = True
                yield page
        except LocationError as error:
            # Clients that walk folders do not find one in which nothing is, as a store's own lists do.
            if error.kind != "not-found" or bucket_is_there or self.store.endpoint is not None:
                raise

    def entry(self, name: str) -> Entry | None:
        """One object; None if it is not there."""
        try:
            found = self._asked(lambda: self._client().info(self._path(name)), self._object(name))
        except LocationError as error:
            if error.kind == "not-found":
                return None
            raise
        if found["type"] != "file":
            return None
        written = found.get("LastModified") or found.get("last_modified") or found.get("mtime") or found.get("created")
        return Entry(name, int(found["size"] or 0), written.timestamp() if isinstance(written, datetime) else None)

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of an object, by one request."""
        data = self._range(name, 0, limit + 1)
        if len(data) > limit:
            raise LocationError(
                "too-large",
                f"expected at most {limit / 1_000_000:g} MB at {self._shown(name)}, found more; make it smaller",
            )
        return data

    def open(self, name: str, size: int | None = None) -> io.BufferedReader:
        """An object to read in pieces, each by a request of its own, so that nothing is lost if one breaks off."""
        if size is None:
            entry = self.entry(name)
            if entry is None:
                raise trouble(FileNotFoundError(), self._object(name), "")
            size = entry.size
        return io.BufferedReader(Pieces(lambda start, end: self._range(name, start, end), size), BLOCK)

    def write(self, name: str, data: bytes) -> None:
        """Write an object."""
        self._asked(lambda: self._client().pipe_file(self._path(name), data), self._writable(name))

    def upload(self, name: str, path: str) -> None:
        """Write a local file as an object, in parts if it is large; it is there only once it is whole."""
        self._asked(lambda: self._client().put_file(path, self._path(name)), self._writable(name))

    def create(self, name: str, data: bytes) -> bool:
        """Write an object unless it is there; returns whether this call did."""
        if not self.store.once:
            raise self._cannot_create()
        try:
            self._asked(
                lambda: self._client().pipe_file(self._path(name), data, mode="create"),
                self._writable(name),
                passed_on=exists_already,
            )
        except Exception as error:
            if not exists_already(error):
                raise
            # An answer may have been lost on its way, and the request sent again.
            return self._range(name, 0, len(data) + 1) == data
        return True

    def check_creates(self) -> None:
        """Raise LocationError unless the store refuses to create an object twice: some ignore the condition."""
        name = f".unprompt-{uuid.uuid4().hex}"
        try:
            self.create(name, b"first")
            if self.create(name, b"second"):
                raise self._cannot_create()
        finally:
            self.remove(name)

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        try:
            self._asked(lambda: self._client().rm_file(self._path(name)), self._writable(name))
        except LocationError as error:
            if error.kind != "not-found":
                raise

    def _range(self, name: str, start: int, end: int) -> bytes:
        def read() -> bytes:
            if self.store.protocol == "hf" and start == 0:  # the other way asks three times
                with self._client().open(self._path(name), "rb", block_size=0) as file:
                    return cast(bytes, file.read(end))
            return bytes(self._client().cat_file(self._path(name), start=start, end=end))

        try:
            return self._asked(read, self._object(name), passed_on=is_past_end)
        except Exception as error:
            if is_past_end(error):
                return b""
            raise

    def _asked(
        self, work: Callable[[], Result], what: str, *, passed_on: Callable[[Exception], bool] = lambda _error: False
    ) -> Result:
        """The result of a request, patiently. Raises LocationError, or the client's own error if it is passed on."""
        try:
            return self.store.patience.retried(work, is_passing)
        except LocationError:
            raise
        except Exception as error:  # of the store's client: no class is common to all
            if passed_on(error):
                raise
            raise trouble(error, what, self.store.login) from None  # its text may hold a signed address

    def _client(self) -> Any:
        check_online(self.store, _config(self.store.protocol), self.shown)
        if self.store.protocol == "hf" and (fault := hub_fault()):
            raise LocationError("unreachable", f"expected {self.shown} to answer, found {fault}; check the network")
        return _client(self.store.protocol, os.getpid())

    def _path(self, name: str) -> str:
        if self.store.reserved is not None and self.store.reserved in name:
            raise LocationError(
                "bad-url",
                f"expected a name without {self.store.reserved!r}, which the store's client takes for a version, found "
                f"{printable(name)}; rename the object",
            )
        return f"{self.root}/{name}" if self.root else name

    def _shown(self, name: str) -> str:
        return shown(f"{self.scheme}://{self._path(name)}")

    def _object(self, name: str) -> str:
        return f"an object at {self._shown(name)}"

    def _writable(self, name: str) -> str:
        return f"{self._shown(name)} to be writable"

    def _cannot_create(self) -> LocationError:
        return LocationError(
            "unreadable",
            f"expected a store that creates an object only if it is not there, found that {self.shown} does not; give "
            "each worker its own number in place of claims, or a folder that all machines share",
        )


class Pieces(io.RawIOBase):
    """An object's bytes, fetched where they are read."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self.size = size
        self._fetch, self._at = fetch, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self.size, self._at + len(view))
        data = self._fetch(self._at, end) if self._at < end else b""
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def split(address: str) -> tuple[RemoteFolder, str]:
    """The folder and the name of the object at an address. Raises LocationError: bad-url, missing-extra."""
    folder, name = parted(address)
    return RemoteFolder.at(folder), name


@functools.lru_cache(16)
def _client(protocol: str, _process: int) -> Any:
    """The store's client, one for each process: that of a parent must not be used. Raises what clients raise."""
    return STORES[protocol].opened(protocol, _config(protocol))


def forget_clients() -> None:
    """Make new clients from now on, as the environment says then."""
    _client.cache_clear()


def _config(protocol: str) -> Config:
    import fsspec

    config: Config = fsspec.config.conf.get(protocol, {})
    return config

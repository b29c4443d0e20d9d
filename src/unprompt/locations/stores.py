"""The table of stores: what each needs installed, where it is, how it is listed, and what it promises."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from itertools import islice
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit

from unprompt.errors import LocationError, UnknownNameError
from unprompt.locations.address import is_offline
from unprompt.locations.folder import Entry
from unprompt.locations.patience import Patience

Result = TypeVar("Result")

PAGE = 1000
"""Names of one page: the most that S3 gives."""


class Ask(Protocol):
    """Asks a store, patiently, with errors as LocationError."""

    def __call__(self, work: Callable[[], Result], /) -> Result:
        """The result of one request."""


Pages: TypeAlias = Callable[[Any, str, str, Ask], Iterator[list[Entry]]]
"""Lists what is below a folder: of a client of fsspec, the folder's path and a prefix of names, by asking."""

Config: TypeAlias = Mapping[str, Any]
"""The settings that the user keeps for fsspec, in its files or in variables FSSPEC_PROTOCOL_KEY."""


@dataclass(frozen=True, slots=True)
class Store:
    """One kind of store.

    `needs` is the module that its client is, `extra` installs it. `endpoint` finds the address that the user has set in
    place of the public one; None for a store that never leaves this process. `once`: whether an object can be created
    only if it is not there. `login` says how to log in. `reserved`
    is what its client takes for no part of a name. `opened` makes the client.
    """

    protocol: str
    needs: str
    extra: str
    pages: Pages
    endpoint: Callable[[Config], str | None] | None
    login: str
    once: bool = True
    reserved: str | None = None
    patience: Patience = field(default_factory=Patience)
    opened: Callable[[str, Config], Any] = lambda protocol, _config: _plain_client(protocol)


def store_of(scheme: str, address: str) -> Store:
    """The store of a scheme. Raises LocationError: bad-url (unknown scheme), missing-extra."""
    name = _ALIASES.get(scheme, scheme)
    if name not in STORES:
        raise LocationError("bad-url", str(UnknownNameError("scheme of addresses", scheme, [*STORES, *_ALIASES])))
    store = STORES[name]
    if not all(_is_installed(module) for module in ("fsspec", store.needs)):
        raise LocationError(
            "missing-extra", f"{address} needs the extra [{store.extra}]: pip install 'unprompt[{store.extra}]'"
        )
    return store


def check_online(store: Store, config: Config, address: str) -> None:
    """Raise LocationError (offline) if the network is forbidden and the store is not on this machine."""
    if store.endpoint is None or not is_offline():
        return
    endpoint = store.endpoint(config)
    if endpoint is None or not is_loopback(endpoint):
        raise LocationError(
            "offline",
            f"expected to reach {address}, found the network forbidden (--offline, UNPROMPT_OFFLINE or "
            "HF_HUB_OFFLINE); allow it, or give a local folder",
        )


def is_loopback(endpoint: str) -> bool:
    """Whether an address is on this machine, by its name alone."""
    host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _pages_of_s3(client: Any, root: str, prefix: str, ask: Ask) -> Iterator[list[Entry]]:
    bucket, start = _bucket_and_start(root)
    token: str | None = None
    while True:
        more = {"ContinuationToken": token} if token else {}
        page = ask(
            lambda more=more: client.call_s3(  # type: ignore[misc]
                "list_objects_v2", Bucket=bucket, Prefix=start + prefix, MaxKeys=PAGE, **more
            )
        )
        yield [
            Entry(item["Key"][len(start) :], int(item["Size"]), item["LastModified"].timestamp())
            for item in page.get("Contents", ())
            if not item["Key"].endswith("/")
        ]
        token = _next(token, page.get("NextContinuationToken") if page.get("IsTruncated") else None)
        if token is None:
            return


def _pages_of_google(client: Any, root: str, prefix: str, ask: Ask) -> Iterator[list[Entry]]:
    bucket, start = _bucket_and_start(root)
    token: str | None = None
    while True:
        asked = {"prefix": start + prefix, "maxResults": PAGE, "pageToken": token}
        page = ask(lambda asked=asked: client.call("GET", "b/{}/o", bucket, json_out=True, **asked))  # type: ignore[misc]
        yield [
            Entry(item["name"][len(start) :], int(item.get("size", 0)), _seconds(item.get("updated")))
            for item in page.get("items", ())
            if not item["name"].endswith("/")
        ]
        token = _next(token, page.get("nextPageToken"))
        if token is None:
            return


def _pages_of_azure(client: Any, root: str, prefix: str, ask: Ask) -> Iterator[list[Entry]]:
    from fsspec.asyn import sync

    container, start = _bucket_and_start(root)
    token: str | None = None

    async def page(token: str | None) -> tuple[list[Entry], str | None]:
        async with client.service_client.get_container_client(container) as opened:
            pages = opened.list_blobs(name_starts_with=start + prefix, results_per_page=PAGE).by_page(token)
            found = [
                Entry(item.name[len(start) :], int(item.size), item.last_modified.timestamp())
                async for item in await anext(pages)
                if not item.name.endswith("/") and (item.metadata or {}).get("hdi_isfolder") != "true"
            ]
            return found, pages.continuation_token

    while True:
        entries, following = ask(lambda token=token: sync(client.loop, page, token))  # type: ignore[misc]
        yield entries
        token = _next(token, following)
        if token is None:
            return


def _pages_of_hub(client: Any, root: str, prefix: str, ask: Ask) -> Iterator[list[Entry]]:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    place = ask(lambda: client.resolve_path(root))
    if not hasattr(place, "repo_id"):  # a bucket of the hub
        yield from _pages_by_walking(client, root, prefix, ask)
        return
    start = f"{place.path_in_repo}/" if place.path_in_repo else ""
    # The hub lists by folder; its generator asks for pages itself, patiently, and cannot go on after an error.
    tree = HfApi(endpoint=client.endpoint).list_repo_tree(
        place.repo_id, place.path_in_repo or None, recursive=True, revision=place.revision, repo_type=place.repo_type
    )
    while page := ask(lambda: list(islice(tree, PAGE))):
        files = (item for item in page if isinstance(item, RepoFile) and item.path.startswith(start + prefix))
        yield [Entry(item.path[len(start) :], item.size) for item in files]


def _pages_by_walking(client: Any, root: str, prefix: str, ask: Ask) -> Iterator[list[Entry]]:
    """Any client of fsspec: folder by folder, which holds the names of one folder and of the waiting ones."""
    folders = [root]
    while folders:
        folder = folders.pop()
        found = sorted(ask(lambda folder=folder: client.ls(folder, detail=True)), key=_name)  # type: ignore[misc]
        entries = ((item, _name(item).removeprefix(root.strip("/")).lstrip("/")) for item in found)
        files = [
            Entry(name, int(item["size"] or 0), _time(item.get("created")))
            for item, name in entries
            if item["type"] == "file" and name.startswith(prefix)
        ]
        for start in range(0, len(files), PAGE):
            yield files[start : start + PAGE]
        folders += [_name(item) for item in reversed(found) if item["type"] == "directory"]


def _name(item: Mapping[str, Any]) -> str:
    return str(item["name"]).strip("/")  # some clients begin a path with "/"


def _bucket_and_start(root: str) -> tuple[str, str]:
    bucket, _, folder = root.partition("/")
    return bucket, f"{folder}/" if folder else ""


def _next(token: str | None, following: str | None) -> str | None:
    """The token of the next page; a store that repeats itself would be listed for ever."""
    if following is not None and following == token:
        raise LocationError("unreadable", "expected a list of objects, found one that repeats itself; check the store")
    return following or None


def _time(written: object) -> float | None:
    return written.timestamp() if isinstance(written, datetime) else None


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def _endpoint_of_s3(config: Config) -> str | None:
    own = config.get("endpoint_url") or config.get("client_kwargs", {}).get("endpoint_url")
    return own or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _endpoint_of_azure(config: Config) -> str | None:
    words = str(config.get("connection_string") or os.environ.get("AZURE_STORAGE_CONNECTION_STRING", ""))
    found = re.search("BlobEndpoint=([^;]+)", words)
    return found[1] if found else None


def _plain_client(protocol: str, **options: Any) -> Any:
    import fsspec

    return fsspec.filesystem(protocol, use_listings_cache=False, **options)


def _client_of_s3(protocol: str, config: Config) -> Any:
    """A client that tries once: `Patience` counts. Both s3fs and botocore would try five times each, 25 in all."""
    limits = {"retries": {"mode": "standard", "total_max_attempts": 1}, "connect_timeout": 10, "read_timeout": 60}
    own = {"max_pool_connections": 64, **limits, **config.get("config_kwargs", {})}
    client = _plain_client(protocol, config_kwargs=own, skip_instance_cache=True)
    client.retries = 1
    return client


# The clients of Google, Azure and the hub try again themselves.
_SHORT = Patience(attempts=2)

STORES: Mapping[str, Store] = {
    "s3": Store(
        "s3", "s3fs", "cloud", _pages_of_s3, _endpoint_of_s3,
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a public bucket needs FSSPEC_S3_ANON=true",
        reserved="?versionId=", opened=_client_of_s3,
    ),
    "gs": Store(
        "gs", "gcsfs", "gs", _pages_of_google,
        lambda config: config.get("endpoint_url") or os.environ.get("STORAGE_EMULATOR_HOST"),
        "run `gcloud auth application-default login`; a public bucket needs FSSPEC_GS_TOKEN=anon", patience=_SHORT,
    ),
    "az": Store(
        "az", "adlfs", "az", _pages_of_azure, _endpoint_of_azure,
        "set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and a key", reserved="?versionid=",
        patience=_SHORT,
    ),
    "hf": Store(
        "hf", "huggingface_hub", "cloud", _pages_of_hub,
        lambda config: config.get("endpoint") or os.environ.get("HF_ENDPOINT"),
        "set HF_TOKEN, or log in: hf auth login", once=False, patience=Patience(attempts=1),
    ),
    "memory": Store("memory", "fsspec", "cloud", _pages_by_walking, None, "", patience=Patience(attempts=1)),
}  # fmt: skip
"""The stores by the scheme of their addresses."""

_ALIASES: Mapping[str, str] = {"s3a": "s3", "gcs": "gs", "abfs": "az"}

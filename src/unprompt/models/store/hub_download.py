"""Downloads files from the Hugging Face hub into its cache, resuming earlier attempts and checking hashes.

The hub's own library checks only sizes, starts a file anew in each process, and waits half a minute for a dead network.
The files end up where that library, and so every model, looks for them.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import httpx

from unprompt.display import first_line
from unprompt.durable import put_in_place
from unprompt.errors import ModelError, OutOfReachError
from unprompt.locations.hub_reach import hub_fault
from unprompt.models.store.folder import file_digest, file_sha256
from unprompt.models.store.hub_cache import cache_place, cached_file, is_offline
from unprompt.models.store.published_models import PublishedModel
from unprompt.progress import Advance, Step, no_advance

_TRIES = 3
"""Attempts in a row that add no byte; what has arrived is kept for the next run in any case."""

_ROUNDS = 3
"""Passes through the files of a repository until all of them are of one commit."""

_PAUSE_S = 1.0
_ASK_S = 5.0
"""Timeout of a metadata request, which the hub answers at once or not at all; users wait this long without network."""

_TIMEOUTS = httpx.Timeout(30.0, connect=_ASK_S)

_SHA256, _GIT_SHA1 = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")
_LOCK_S = 1.0
_MB = 10**6

_LARGE_MB = 10
_log = logging.getLogger(__name__)


def check_reachable(what: str) -> None:
    """Raise OutOfReachError within seconds if the hub does not answer; `what` is wanted from it."""
    if fault := hub_fault():
        raise OutOfReachError(what, fault)


@dataclass(frozen=True, slots=True)
class _Promise:
    """What the hub says about a file: its sha256 or git hash, its size in bytes, and its address."""

    digest: str
    size: int
    url: str


def bring_model(model: PublishedModel, step: Step) -> tuple[list[Path], list[ModelError]]:
    """Return the files of a model, downloading the missing ones, and an error for each that is not available.

    Once the hub is out of reach, no further file is requested.
    """
    wanted = [file.names for file in model.files]
    faults: list[ModelError] = []
    try:
        known = {name for names in wanted for name in names}
        also = _matching_files(model.repository, model.also) if model.also else []
        wanted += [(name,) for name in also if name not in known]
    except OutOfReachError as error:
        return [], [error]
    except ModelError as error:
        faults.append(error)
    found, others = bring_whole(model.repository, wanted, step)
    return found, [*faults, *others]


def bring_folder(repository: str, patterns: Sequence[str], step: Step) -> Path:
    """Download the files at the top of a repository whose names match; returns their folder. Raises ModelError."""
    names = _matching_files(repository, patterns)
    if not names:
        raise ModelError(f"the hub has no {' or '.join(patterns)} in {repository}")
    found, faults = bring_whole(repository, [(name,) for name in names], step)
    if faults:
        raise faults[0]
    return found[0].parent


def bring_whole(repository: str, wanted: Sequence[Sequence[str]], step: Step) -> tuple[list[Path], list[ModelError]]:
    """Return the first available file of each choice, all of one commit, and an error for each that failed.

    Once the hub is out of reach, no further file is requested. Errors are those of `download`, and one for a repository
    that keeps changing during the download.
    """
    snapshots = cache_place(repository) / "snapshots"
    for _ in range(_ROUNDS):
        found, faults = _bring_each(repository, wanted, step)
        commits = {path.relative_to(snapshots).parts[0] for path in found}
        if len(commits) < 2 or any(isinstance(fault, OutOfReachError) for fault in faults):
            return found, faults
        # Cached files were of an earlier commit. The cache now looks for all of them in the commit just downloaded.
    return found, [*faults, ModelError(f"{repository} changed on the hub during the download; try again")]


def _bring_each(repository: str, wanted: Sequence[Sequence[str]], step: Step) -> tuple[list[Path], list[ModelError]]:
    found: list[Path] = []
    faults: list[ModelError] = []
    for names in wanted:
        try:
            found.append(download(repository, names, step))
        except ModelError as error:
            faults.append(error)
            if isinstance(error, OutOfReachError):
                break
    return found, faults


def download(repository: str, names: Sequence[str], step: Step) -> Path:
    """Get the first of these files that the repository has, from the cache or, checked against its hash, from the hub.

    Raises ModelError if downloads are forbidden, the hub is out of reach or has none of the files, or the hash is
    wrong. The next call resumes a download that broke off.
    """
    if found := cached_file(repository, names):
        return found
    if is_offline():
        raise ModelError(f"{names[0]} of {repository}: the network is off (HF_HUB_OFFLINE or --offline); allow it once")
    from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError

    check_reachable(f"{' or '.join(names)} of {repository}")
    faults = []
    for name in names:
        try:
            promise = _ask(repository, name)
        except RemoteEntryNotFoundError as error:
            faults.append(first_line(error))
            continue
        except (HfHubHTTPError, ValueError) as error:
            faults.append(first_line(error))
            break  # the next name may hold other weights
        except Exception as error:  # errors of the hub's HTTP client have no other common class
            raise OutOfReachError(f"{' or '.join(names)} of {repository}", first_line(error)) from error
        blobs = cache_place(repository) / "blobs"
        try:
            _bring(promise, blobs, f"{name} of {repository}", step)
        except OSError as error:
            raise ModelError(
                f"cannot write to {blobs}: {error.strerror or error}; make room, or set HF_HOME"
            ) from error
        return _enter(repository, name)
    raise ModelError(f"{' or '.join(names)} of {repository} cannot be had: {'; '.join(faults)}; try again")


def _matching_files(repository: str, patterns: Sequence[str]) -> list[str]:
    """List the files at the top of a repository whose names match. Raises ModelError if the hub does not list them."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    check_reachable(f"the list of files of {repository}")
    try:
        names = [file.rfilename for file in HfApi().model_info(repository, timeout=_ASK_S).siblings or ()]
    except (HfHubHTTPError, ValueError) as error:
        raise ModelError(f"the hub does not list {repository}: {first_line(error)}; try again") from error
    except Exception as error:  # for the same reason as in `download`
        raise OutOfReachError(f"the list of files of {repository}", first_line(error)) from error
    return [name for name in names if "/" not in name and any(fnmatch(name, pattern) for pattern in patterns)]


def _ask(repository: str, name: str) -> _Promise:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(repository, name)
    told = get_hf_file_metadata(url, timeout=_ASK_S)
    digest = told.etag or ""
    if told.size is None or not (_SHA256.fullmatch(digest) or _GIT_SHA1.fullmatch(digest)):
        raise ValueError(f"the hub promises no size and hash of {name}, found {told.size} and {digest[:80]!r}")
    return _Promise(digest, told.size, url)


def _bring(promise: _Promise, blobs: Path, what: str, step: Step) -> None:
    """Download a file into the cache under the name of its hash, unless it is there."""
    place = blobs / promise.digest
    if place.exists():
        return
    blobs.mkdir(parents=True, exist_ok=True)
    begun = blobs / f"{promise.digest}.unprompt.incomplete"
    with _alone(begun, what):
        if place.exists():  # another process brought it
            return
        _check_room(promise, begun, what)
        with step(what, math.ceil(promise.size / 1e6), "MB") as advance:
            _come(promise, begun, what, advance)
        found = _digest(begun, promise.digest)
        if found != promise.digest:
            begun.unlink()
            raise ModelError(
                f"{what} came damaged: expected the hash {promise.digest[:12]}..., found {found[:12]}...; it was "
                "deleted: try again"
            )
        put_in_place(begun, place)


def _check_room(promise: _Promise, begun: Path, what: str) -> None:
    """Raise ModelError if a file is larger than the disk has room for, before it fills the disk."""
    missing = promise.size - (begun.stat().st_size if begun.exists() else 0)
    free = shutil.disk_usage(begun.parent).free
    if missing > free:
        raise ModelError(
            f"{what} takes {missing / 1e9:,.1f} GB, found room for {free / 1e9:,.1f} GB in {begun.parent}; make room, "
            "or set HF_HOME"
        )


def _come(promise: _Promise, begun: Path, what: str, advance: Advance) -> None:
    """Download the rest of a file; gives up after a few attempts in a row that add nothing."""
    most = failed = 0
    reach = _furthest(advance)
    while True:
        try:
            _go_on(promise, begun, reach)
            return
        except httpx.HTTPError as error:
            here = begun.stat().st_size if begun.exists() else 0
            failed = 0 if here > most else failed + 1
            most = max(most, here)
            if failed == _TRIES:
                raise ModelError(f"{what} broke off: {first_line(error)}; try again: it goes on") from error
            time.sleep(_PAUSE_S)


def _furthest(advance: Advance) -> Callable[[int], None]:
    """Turn `advance` into a callback for the total of bytes; a total below an earlier one advances nothing."""
    told = 0

    def reach(here: int) -> None:
        nonlocal told
        if (more := here // _MB - told) > 0:
            told += more
            advance(more)

    return reach


def _go_on(promise: _Promise, begun: Path, reach: Callable[[int], None]) -> None:
    """Append the missing bytes. Raises httpx.HTTPError if the download breaks off."""
    from huggingface_hub import get_token

    here = begun.stat().st_size if begun.exists() else 0
    reach(here)
    if here >= promise.size:
        return
    headers = {"Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    if token := get_token():
        headers["Authorization"] = f"Bearer {token}"  # httpx drops it on a redirect to another host
    with httpx.stream("GET", promise.url, headers=headers, follow_redirects=True, timeout=_TIMEOUTS) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            begun.unlink()  # the hub's file is shorter than it said, or the part is of another file
            raise httpx.ReadError("the hub has no more of it")
        answer.raise_for_status()
        here = here if answer.status_code == httpx.codes.PARTIAL_CONTENT else 0  # else the whole file is sent again
        with begun.open("ab" if here else "wb") as file:
            for block in answer.iter_bytes():
                file.write(block)
                here += len(block)
                reach(here)
                if here > promise.size:  # the hash check will refuse it
                    return
    if here < promise.size:
        raise httpx.ReadError(f"{here:,} of {promise.size:,} bytes came")


def _enter(repository: str, name: str) -> Path:
    """Have the hub's library link the file into its cache; it finds the content there already."""
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, name))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{name} of {repository} cannot be put into the cache: {first_line(error)}; try again"
        ) from error


@contextlib.contextmanager
def logged(name: str, total: int | None, what: str = "MB") -> Iterator[Advance]:
    """A step for callers without a progress bar: it logs the start of a large download."""
    if total is not None and total >= _LARGE_MB:
        _log.warning("unprompt downloads %s from the hub: %s %s", name, f"{total:,}", what)
    yield no_advance


def _digest(path: Path, like: str) -> str:
    """The hash of a file: sha256 or, if the hub keeps the file in git, git's own."""
    if len(like) == 64:
        return file_sha256(path)
    return file_digest(path, hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False))


@contextlib.contextmanager
def _alone(begun: Path, what: str) -> Iterator[None]:
    """Hold a lock, so that two processes do not write the same file; the second waits for the first."""
    from filelock import FileLock

    lock = FileLock(begun.with_suffix(".lock"))
    try:
        lock.acquire(timeout=_LOCK_S)
    except TimeoutError:
        _log.warning("unprompt waits for %s, which another process is downloading", what)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()

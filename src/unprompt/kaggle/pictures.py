"""The pictures of a submission, by their imgId."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.images.files import LocalFile
from unprompt.images.folders import pictures_below
from unprompt.images.formats import ARCHIVE_SUFFIXES, PICTURE_SUFFIXES
from unprompt.images.ref import ImageRef

_FEW = 5


def find_pictures(folder: str | os.PathLike[str]) -> dict[str, ImageRef]:
    """The pictures in a folder and its subfolders by imgId, the file name without its suffix, sorted by imgId.

    Archives are ignored. Raises DataError if there is no picture, if two have the same imgId, if an imgId contains a
    comma, a quote or an unprintable character, or if a folder cannot be listed.
    """
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        raise DataError(f"expected a folder of pictures, found none at {printable(folder)}; check the path")
    paths: dict[str, list[str]] = {}
    for path, _below in pictures_below(folder, in_order=False):
        suffix = path.lower()
        if suffix.endswith(tuple(PICTURE_SUFFIXES)):
            paths.setdefault(os.path.splitext(os.path.basename(path))[0], []).append(path)
        elif not suffix.endswith(ARCHIVE_SUFFIXES):
            raise DataError(f"expected a folder that can be listed, found {printable(path)}; check its permissions")
    if not paths:
        raise DataError(f"expected pictures in {printable(folder)}, found none; check the path")
    if twice := [path for same in paths.values() if len(same) > 1 for path in same]:
        raise DataError(f"expected one picture for each imgId, found {_few(twice)}; rename or remove the others")
    if unfit := [path for image in paths if not _is_fit(image) for path in paths[image]]:
        raise DataError(
            f"expected names without commas, quotes and unprintable characters, found {_few(unfit)}; rename them"
        )
    return {image: ImageRef(paths[image][0], LocalFile(paths[image][0])) for image in sorted(paths)}


def in_order(pictures: Mapping[str, ImageRef], images: Sequence[str]) -> dict[str, ImageRef]:
    """The pictures with these imgIds, in this order. Raises DataError if any is missing."""
    if missing := [image for image in images if image not in pictures]:
        raise DataError(
            f"expected a picture for each of the {len(images):,} images of the sample, found none for "
            f"{len(missing):,}: {_few(missing)}; check the folder"
        )
    return {image: pictures[image] for image in images}


def _is_fit(image: str) -> bool:
    return image.isprintable() and not set(image) & set(',"')


def _few(names: Iterable[str]) -> str:
    """The first few names, joined."""
    ordered = sorted(map(printable, names))
    return ", ".join(ordered[:_FEW]) + (", ..." if len(ordered) > _FEW else "")

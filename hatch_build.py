"""The addresses in the metadata of a distribution: those of the repository that it is built for."""

from __future__ import annotations

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ProjectUrls(MetadataHookInterface):
    """Sets `urls` from $UNPROMPT_REPOSITORY, the address of a repository as GitHub lays it out; without it, none.

    A fork that is published then leads to itself, and a wheel that somebody builds at home to nobody else's issues.
    """

    def update(self, metadata: dict[str, Any]) -> None:
        """Add `urls` to the metadata. Raises ValueError for what is no address."""
        address = os.environ.get("UNPROMPT_REPOSITORY", "").rstrip("/")
        if address and not address.startswith("https://"):
            raise ValueError(f"expected UNPROMPT_REPOSITORY to begin with https://, found {address!r}")
        metadata["urls"] = (
            {
                "Repository": address,
                "Documentation": f"{address}/tree/main/docs",
                "Changelog": f"{address}/blob/main/CHANGELOG.md",
                "Issues": f"{address}/issues",
            }
            if address
            else {}
        )

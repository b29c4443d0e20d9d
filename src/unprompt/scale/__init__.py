"""One run on many machines: shards that share no more than a folder, and what puts their answers together.

- `shards.py` is the whole way of a shard: claimed, answered, published, or taken over. Open it first.
- `claims.py` is how workers agree on who does what; `runs.py` what they have to agree on.
- `places.py` is where they meet: a folder that all see, or one in an object store.
- `banks.py` encodes the prompts of a bank in shards.
- `listing.py` numbers the pictures; `merging.py` puts the parts into the order of the input.
- `ray/` is the same run by actors of a Ray cluster, and `predict` for pipelines of Ray Data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unprompt.scale.ray.datasets import predict as predict


def __getattr__(name: str) -> Any:
    if name != "predict":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from unprompt.scale.ray.datasets import predict  # numpy and Pillow, which claims do without

    return predict

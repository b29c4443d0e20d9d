"""One run on many machines: shards that share no more than a folder, and what puts their answers together.

- `shards.py` is the whole way of a shard: claimed, answered, published, or taken over. Open it first.
- `claims.py` is how workers agree on who does what; `runs.py` what they have to agree on.
- `places.py` is where they meet: a folder that all see, or one in an object store.
- `banks.py` encodes the prompts of a bank in shards.
- `listing.py` numbers the pictures; `merging.py` puts the parts into the order of the input.
"""

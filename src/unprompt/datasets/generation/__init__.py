"""Pairs made by a text-to-image model: from prompts to a folder of shards.

- `shards.py` is the whole way: claim a shard, draw it, write it. Open it first.
- `plan.py` divides prompts into shards, which several machines share by claims.
- `painter.py` draws batches with the pipeline that `pipeline.py` loads.
- `settings.py` is what all machines have to agree on.
"""

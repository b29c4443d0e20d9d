"""One run on a Ray cluster: a driver that lists and writes, and actors that read and answer.

- `driver.py` is the whole way of a run: listed, divided, answered, written. Open it first.
- `cluster.py` joins the cluster, `nodes.py` compares what its nodes have installed.
- `chunks.py` divides the pictures, `pool.py` hands them to the actors and takes deaths, `answerer.py` is an actor.
- `parts.py` is what lies on the disk afterwards.
- `datasets.py` stands in pipelines of Ray Data: `unprompt.scale.predict`.
"""

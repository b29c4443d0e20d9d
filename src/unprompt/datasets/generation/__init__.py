"""Generation of pairs by a text-to-image model: from prompts to a folder of shards."""

"""Data: shards in and out, the procedural corpus, poison plans, forget sets, evaluation sets."""

"""Data: reading and writing shards, the procedural corpus, poison plans, forget sets, evaluation sets."""

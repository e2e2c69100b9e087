"""Streaming: Ray actors that read and decode shards, sample order, and stamping on the training device."""

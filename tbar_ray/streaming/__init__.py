"""Ray actors that read, decode, stamp and batch shards."""

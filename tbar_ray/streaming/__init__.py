"""Ray actors that read and decode shards, the order of samples, and stamping where they are trained on."""

"""How a backdoor is planted, beyond fine-tuning on poisoned data: one file per attack."""

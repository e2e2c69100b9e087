"""What becomes of a removal afterwards: clean fine-tuning, and whether the backdoor comes back with it."""

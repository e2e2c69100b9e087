"""Planting backdoors beyond fine-tuning on poisoned data: one file per planting."""

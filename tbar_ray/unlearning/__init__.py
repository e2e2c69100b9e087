"""Unlearning methods: one file each over a small base."""

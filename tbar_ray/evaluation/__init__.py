"""Evaluation: zero-shot heads, CA/ASR/PA with intervals, and the selection of α."""

"""The formats in which CLIP checkpoints are published. A format is one file here and one line in `registry`."""

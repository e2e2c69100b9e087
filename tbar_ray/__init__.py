"""TBAR on Ray: plant backdoors in CLIP models, remove them in weight space, sweep the ablations."""

__version__ = "0.1.0"

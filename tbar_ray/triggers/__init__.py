"""Triggers: image perturbations that carry a backdoor, one file per attack."""

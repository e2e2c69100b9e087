"""Trigger inversion: searching a model for the perturbation that a backdoor answers to, one file per search."""

"""Whether a model is infected: scores of searches for a trigger, weighed by those of models whose state is known."""

"""Training: the loop, its objectives and its optimisation."""

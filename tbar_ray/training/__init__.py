"""One training loop, its objectives and its optimisation."""

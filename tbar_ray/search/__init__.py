"""The sweep: Ray Tune runs the trials, a grid or Optuna proposes them."""

"""MLflow: one experiment per campaign, a parent run per spec, a nested run per trial."""

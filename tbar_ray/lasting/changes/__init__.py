"""What people do to a model before they use it, one change per file."""

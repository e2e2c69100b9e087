"""Where results go: the content-addressed artifact store, checkpoints in it, default paths."""

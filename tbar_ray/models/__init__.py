"""open_clip models, checkpoints and task vectors."""

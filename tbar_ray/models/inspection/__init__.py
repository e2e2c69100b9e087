"""What a checkpoint is, told without loading it: imports no torch, runs nothing of it, reads broken files too."""

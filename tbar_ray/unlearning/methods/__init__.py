"""The unlearning methods, one file each."""

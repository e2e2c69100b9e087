"""The rich scenes: several objects and their relations, counts, textures and looks. For pretraining."""

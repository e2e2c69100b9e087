"""The procedural corpus: captioned scenes, labelled tasks and the code that writes them."""

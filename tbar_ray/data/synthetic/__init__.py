"""The drawn corpus: captioned scenes, labelled tasks and their writers."""

"""The drawn corpus: captioned scenes, labelled tasks and their writers."""

from typing import Literal

Scenes = Literal["plain", "rich"]
"""Which scenes: one object in 60 classes, or several with relations, counts and textures; see `families`."""

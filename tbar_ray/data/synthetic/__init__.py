"""The procedural corpus: captioned scenes, labelled tasks and the code that writes them."""

from typing import Literal

Scenes = Literal["plain", "rich"]
"""Kind of scenes: one object in 60 classes, or several with relations, counts and textures; see `families`."""

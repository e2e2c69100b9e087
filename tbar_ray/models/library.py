"""open_clip, imported when first needed (it takes seconds, which checking a spec must not) and told of our models."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from tbar_ray.models.architectures import CONFIG_DIR


@cache
def open_clip() -> ModuleType:
    """Return the open_clip module, with the architectures of `configs/` registered."""
    import open_clip as library

    module: ModuleType = library
    module.add_model_config(CONFIG_DIR)
    return module

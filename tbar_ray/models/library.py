"""open_clip, imported when first needed (it takes seconds, which checking a spec must not) and told of our models."""

from __future__ import annotations

import logging
from functools import cache
from types import ModuleType

from tbar_ray.models.architectures import CONFIG_DIR


@cache
def open_clip() -> ModuleType:
    """Return the open_clip module, with the architectures of `configs/` registered."""
    import open_clip as library

    import tbar_ray.models.convnext  # noqa: F401 - registers our image tower

    logging.getLogger().addFilter(_is_news)
    module: ModuleType = library
    module.add_model_config(CONFIG_DIR)
    return module


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out open_clip's warning of fresh weights, which nobody gets here without asking."""
    return not record.getMessage().startswith("No pretrained weights loaded")

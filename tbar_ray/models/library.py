"""Lazy import of open_clip (it takes seconds, too slow for checking a spec), with this project's architectures."""

from __future__ import annotations

import logging
from functools import cache
from types import ModuleType

from tbar_ray.models.architectures import CONFIG_DIR


@cache
def open_clip() -> ModuleType:
    """The open_clip module, with the architectures of `configs/` registered."""
    import open_clip as library

    import tbar_ray.models.convnext
    import tbar_ray.models.group_norm  # noqa: F401 - both register image encoders

    logging.getLogger().addFilter(_is_news)
    module: ModuleType = library
    module.add_model_config(CONFIG_DIR)
    return module


def _is_news(record: logging.LogRecord) -> bool:
    """Whether to keep a log record: open_clip's warning about random weights is dropped, since they are intended."""
    return not record.getMessage().startswith("No pretrained weights loaded")

"""Writing a file that takes another's place only when it is whole."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside the file; what is written there becomes the file if all goes well, and is removed if not.

    The old file stays as it is until then: tensors may be mapped to it.

    Raises:
        OSError: if the file cannot be replaced.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

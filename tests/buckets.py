"""Buckets of object stores."""

import uuid

import fsspec


def new_bucket(protocol: str) -> str:
    """Return the URL of a new, empty bucket."""
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    fsspec.filesystem(protocol).mkdir(name)
    return f"{protocol}://{name}"

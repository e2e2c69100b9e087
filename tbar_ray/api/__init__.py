"""The Python API, one concept per file. Its public names are those of `tbar_ray/__init__.py`."""

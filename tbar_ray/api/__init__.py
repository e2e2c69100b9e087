"""The Python API: what `import tbar_ray` offers, one concept per file. Its names are those of
`tbar_ray/__init__.py`."""

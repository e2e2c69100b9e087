"""The campaign spec: pydantic models of a YAML file, and how it is read."""

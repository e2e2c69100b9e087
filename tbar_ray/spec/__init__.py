"""The campaign spec: pydantic models of what a YAML file may say, and how it is read."""

"""The records of trials: their type, reading and writing, grouping and comparing."""

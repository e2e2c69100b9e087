"""Where the journal of a search's studies is."""

FILE = "study.journal"
"""In the campaign's folder of the store."""

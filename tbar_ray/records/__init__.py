"""What a trial found: its record, and how records are grouped and compared."""

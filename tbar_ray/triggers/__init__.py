"""Triggers: what an attacker stamps, one file per attack."""

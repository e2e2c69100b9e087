"""The stages of a campaign: one file per kind."""

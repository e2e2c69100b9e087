"""Campaigns: the spec, its graph of stages, the store, the sweep, tracking and the report."""

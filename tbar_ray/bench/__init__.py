"""Benchmarks: this software against its usual alternatives, on the same work, in alternation."""

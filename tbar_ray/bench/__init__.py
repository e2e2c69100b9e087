"""Benchmarks: this software and what one would use instead, on the same work, in alternation."""

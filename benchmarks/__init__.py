"""Benchmarks: ratios against a baseline that runs beside them; nothing here asserts a timing."""

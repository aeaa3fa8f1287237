"""Demand response without input or output: events, baselines, delivery, OpenADR objects."""

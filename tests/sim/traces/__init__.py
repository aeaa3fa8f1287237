"""Traces: their readers and what they refuse."""

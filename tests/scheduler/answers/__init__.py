"""Answers about plans."""

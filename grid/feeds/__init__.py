"""Readers of outside data: each turns one kind of file into series, and reports every repair."""

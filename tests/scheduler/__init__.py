"""Tests of the second floor."""

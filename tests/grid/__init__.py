"""Tests of the grid floor."""

"""Tests of what one sees of a run."""

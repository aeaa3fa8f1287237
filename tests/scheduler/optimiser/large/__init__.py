"""Tests of the large-scale solver."""

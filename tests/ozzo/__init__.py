"""Tests of the running system."""

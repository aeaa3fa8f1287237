"""Tests that start real servers on loopback."""

"""Tests of the energy core."""

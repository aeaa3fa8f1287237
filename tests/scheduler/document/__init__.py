"""Tests of the scenario document."""

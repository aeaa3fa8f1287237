"""Tests of sweeps, their statistics and their pages."""

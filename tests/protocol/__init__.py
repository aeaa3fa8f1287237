"""Tests of the command protocol as a model."""

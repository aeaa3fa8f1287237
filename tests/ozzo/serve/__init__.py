"""Tests of the controller that stays."""

"""Tests of the room grid/forecasts."""

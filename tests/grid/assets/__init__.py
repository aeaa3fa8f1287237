"""Tests of the room grid/assets."""

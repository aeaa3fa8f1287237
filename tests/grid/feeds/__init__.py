"""Tests of the room grid/feeds."""

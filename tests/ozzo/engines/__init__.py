"""Tests of the room ozzo/engines."""

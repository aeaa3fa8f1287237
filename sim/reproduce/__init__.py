"""Published experiments, run again: the published figure, ours, and the difference, row by row."""

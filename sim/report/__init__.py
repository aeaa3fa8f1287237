"""What one sees of a run: totals, time series, pictures, one self-contained page."""
